/*
 * Answers of servers, whole as they come over the line: status, headers, body, lengths that lie. The first
 * byte chooses what is asked for; each request of it gets the rest of the input, and then the connection
 * ends.
 */
#include "base/log.h"
#include "fuzz.h"
#include "storage/s3.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define OBJECT_MAX 1024
#define NAME "index/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct {
    int listener;
    char url[64];
    pthread_mutex_t lock;
    struct buffer answer;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void answer_one(int fd, struct buffer *answer)
{
    char head[16384];
    size_t size = 0, sent = 0;
    while (size < sizeof head - 1) {
        ssize_t n = read(fd, head + size, sizeof head - 1 - size);
        if (n <= 0)
            return;
        size += (size_t)n;
        head[size] = '\0';
        if (strstr(head, "\r\n\r\n"))
            break;
    }
    /* A copy: whoever has read enough goes on to the next input meanwhile. */
    buffer_clear(answer);
    pthread_mutex_lock(&server.lock);
    buffer_append_bytes(answer, buffer_bytes(&server.answer));
    pthread_mutex_unlock(&server.lock);
    while (sent < answer->size) {
        ssize_t n = write(fd, answer->data + sent, answer->size - sent);
        if (n <= 0)
            return;
        sent += (size_t)n;
    }
    /* What was not read would be answered with a reset, that takes the answer with it. */
    shutdown(fd, SHUT_WR);
    while (read(fd, head, sizeof head) > 0)
        ;
}

static void *serve(void *argument)
{
    int fd;
    static struct buffer answer;
    while ((fd = accept(server.listener, NULL, NULL)) >= 0) {
        answer_one(fd, &answer);
        close(fd);
    }
    return argument;
}

static void start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    pthread_t thread;
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_LEVEL_ERRORS);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(server.listener, (struct sockaddr *)&address, sizeof address) == 0);
    must(listen(server.listener, 8) == 0);
    must(getsockname(server.listener, (struct sockaddr *)&address, &size) == 0);
    snprintf(server.url, sizeof server.url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    must(pthread_create(&thread, NULL, serve, NULL) == 0);
    setenv("no_proxy", "*", 1);
    setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
}

static int on_object(const struct storage_object *object, void *context)
{
    (void)context;
    must(storage_is_name(object->name) && object->size <= INT64_MAX);
    return 0;
}

static int on_version(const struct storage_version *version, void *context)
{
    (void)context;
    must(storage_is_name(version->name) && version->version[0]);
    return 0;
}

static void read_object(struct storage *storage, bool whole)
{
    struct error err = {0};
    struct buffer out = {0};
    buffer_append_string(&out, "x");
    int code = whole ? storage_get(storage, NAME, OBJECT_MAX, &out, &err)
                     : storage_get_range(storage, NAME, 3, 7, &out, &err);
    size_t got = out.size - 1;
    if (!worked(code, &err))
        must(got == 0);
    else
        must(whole ? got <= OBJECT_MAX : got == 7);
    buffer_free(&out);
}

static void ask_store(uint8_t what)
{
    static const uint8_t keys[1][STORAGE_CUSTOMER_KEY];
    struct error err = {0};
    struct s3_parameters p = {.label = "fuzz",
                              .provider = S3_OTHER,
                              .region = "us-east-1",
                              .bucket = "bucket",
                              .endpoint = server.url,
                              .prefix = "",
                              .lock = S3_LOCK_GOVERNANCE,
                              .retain = 86400,
                              .connections = 1,
                              .stall = 5,
                              .keep_region = what & 0x80};
    struct storage *storage;
    struct storage_facts facts;
    uint64_t size;
    int64_t time;
    must(storage_open_s3(&p, &storage, &err) == 0);
    if (what & 0x40)
        storage_set_customer_keys(storage, keys, 1);
    switch (what % 10) {
    case 0:
        worked(storage_list(storage, "index/", on_object, NULL, &err), &err);
        break;
    case 1:
        worked(storage_list_versions(storage, "", on_version, NULL, &err), &err);
        break;
    case 2:
        read_object(storage, true);
        break;
    case 3:
        read_object(storage, false);
        break;
    case 4:
        worked(storage_head(storage, NAME, &size, &time, &err), &err);
        break;
    case 5:
        worked(storage_put(storage, NAME, bytes_of_string("an object"), &err), &err);
        break;
    case 6:
        worked(storage_remove(storage, NAME, &err), &err);
        break;
    case 7:
        if (worked(storage_describe(storage, &facts, &err), &err))
            must(facts.default_retention >= 0 && strlen(facts.location) < sizeof facts.location);
        break;
    case 8:
        worked(storage_retention(storage, NAME, what & 0x20 ? "v" : NULL, &time, &err), &err);
        break;
    default:
        worked(storage_retain(storage, NAME, "v", 1795000000, &err), &err);
    }
    storage_free(storage);
}

/* The metadata service: its token, the name of the role and the keys are one and the same here. */
static void ask_machine(void)
{
    static struct credentials keys;
    struct error err = {0};
    struct credentials_options options = {.imds_endpoint = server.url};
    struct credentials_source *source = credentials_source_new(&options);
    if (worked(credentials_get(source, 0, &keys, &err), &err))
        must(keys.id[0] && keys.secret[0]);
    credentials_cleanse(&keys);
    credentials_source_free(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size == 0)
        return 0;
    if (!server.listener)
        start();
    pthread_mutex_lock(&server.lock);
    buffer_clear(&server.answer);
    buffer_append_bytes(&server.answer, behind_first(input, size));
    pthread_mutex_unlock(&server.lock);
    if (input[0] % 16 == 15) {
        ask_machine();
        return 0;
    }
    setenv("AWS_ACCESS_KEY_ID", "id", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    ask_store(input[0]);
    unsetenv("AWS_ACCESS_KEY_ID");
    return 0;
}
