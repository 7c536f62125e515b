/*
 * The layout of system.posix_acl_access and _default (Linux, include/uapi/linux/posix_acl_xattr.h): a version
 * in 4 bytes, then entries of tag and permissions, 2 bytes each, and an id in 4; little-endian. For this
 * module only.
 */
#ifndef SOURCE_POSIX_ACL_H
#define SOURCE_POSIX_ACL_H

#include <stddef.h>
#include <stdint.h>

#define ACL_ACCESS_NAME "system.posix_acl_access"
#define ACL_DEFAULT_NAME "system.posix_acl_default"

#define POSIX_ACL_VERSION 2u
#define POSIX_ACL_HEADER 4u
#define POSIX_ACL_ENTRY 8u
/* Tags; these two have an id. */
#define POSIX_ACL_USER 0x02u
#define POSIX_ACL_GROUP 0x08u
#define POSIX_ACL_MASK 0x10u

static inline void posix_acl_store(uint8_t *p, uint32_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static inline uint32_t posix_acl_load(const uint8_t *p, size_t size)
{
    uint32_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint32_t)p[i] << (8 * i);
    return value;
}

#endif
