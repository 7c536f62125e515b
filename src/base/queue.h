/*
 * A bounded queue of pointers between threads. put() blocks while it is full, take() while it is empty.
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct queue;

struct queue *queue_new(size_t capacity);
/* The queue must be empty or its items owned elsewhere. NULL is fine. */
void queue_free(struct queue *q);
/* False if the queue is closed: the caller still owns item. */
bool queue_put(struct queue *q, void *item);
/* False where put would block or the queue is closed. */
bool queue_try_put(struct queue *q, void *item);
/* NULL when the queue is closed and empty. */
void *queue_take(struct queue *q);
/* NULL when nothing is there now. */
void *queue_try_take(struct queue *q);
/* No more puts; takers get what is left, then NULL. */
void queue_close(struct queue *q);

#endif
