/*
 * The rotation of a job as the modules below take it. For the commands.
 */
#ifndef CLI_KEEP_OF_H
#define CLI_KEEP_OF_H

#include "config/config.h"
#include "format/messages.h"

static inline struct keep_record keep_of(const struct config_keep *keep)
{
    return (struct keep_record){.daily = (uint32_t)keep->daily,
                                .weekly = (uint32_t)keep->weekly,
                                .monthly = (uint32_t)keep->monthly,
                                .yearly = (uint32_t)keep->yearly,
                                .manual = keep->manual < 0 ? 0 : (uint32_t)keep->manual,
                                .manual_set = keep->manual >= 0,
                                .within = keep->within,
                                .minimum = (uint32_t)keep->min};
}

#endif
