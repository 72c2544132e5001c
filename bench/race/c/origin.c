/* An origin that is as cheap as can be: it shares its core with the load and must not be what is measured.
 *
 *   origin PORT...
 *
 * /bytes/N is answered with N bytes, /echo with the head as it came, /counts with the answers given on each port,
 * /stall after 200 ms in which nothing else is answered, everything else with 100 bytes. Bodies are swallowed.
 */

#define _GNU_SOURCE
#include "http.h"
#include "net.h"

#define HEAD 16384
#define PIECE 262144
#define SMALL 100
#define PORTS 8

struct connection {
    int fd, port;
    int is_listener, wants_out;
    size_t held;           /* bytes of an unfinished head in `head` */
    char *head;            /* allocated only where a head comes in pieces */
    long long swallow;     /* bytes of a request's body still to come */
    char *answer;          /* what is being written beyond its head: NULL for filler */
    size_t answer_length, answer_sent;
    long long filler;
};

static int epoll, ports[PORTS], port_count;
static long counts[PORTS];
static char input[PIECE], filler[PIECE];
static const char small[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

static void drop(struct connection *one) {
    close(one->fd);
    free(one->head);
    free(one->answer);
    free(one);
}

/* Writes what is left of an answer; 0 where the connection is gone. */
static int write_on(struct connection *one) {
    while (one->answer || one->filler) {
        const char *from = one->answer ? one->answer + one->answer_sent : filler;
        size_t length = one->answer ? one->answer_length - one->answer_sent
                                    : (size_t)(one->filler < PIECE ? one->filler : PIECE);
        ssize_t sent = send(one->fd, from, length, MSG_NOSIGNAL | (one->answer && one->filler ? MSG_MORE : 0));
        if (sent < 0 && errno != EAGAIN) return 0;
        if (sent < 0) {
            if (!one->wants_out) watch(epoll, EPOLL_CTL_MOD, one->fd, EPOLLOUT, one);
            one->wants_out = 1;
            return 1;
        }
        if (!one->answer) {
            one->filler -= sent;
        } else if ((one->answer_sent += (size_t)sent) == one->answer_length) {
            free(one->answer);
            one->answer = NULL;
        }
    }
    if (one->wants_out) watch(epoll, EPOLL_CTL_MOD, one->fd, EPOLLIN, one);
    one->wants_out = 0;
    return 1;
}

/* Makes an answer with a body of its own (`body` may be NULL: filler). */
static void prepare(struct connection *one, const char *body, long long length) {
    size_t own = body ? (size_t)length : 0;
    one->answer = must(malloc(128 + own));
    one->answer_length = (size_t)sprintf(
        one->answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %lld\r\n\r\n", length);
    if (body) memcpy(one->answer + one->answer_length, body, own);
    one->answer_length += own;
    one->answer_sent = 0;
    one->filler = body ? 0 : length;
}

static void prepare_counts(struct connection *one) {
    char text[PORTS * 24];
    int length = 0;
    for (int each = 0; each < port_count; each++) length += sprintf(text + length, "%ld ", counts[each]);
    prepare(one, text, length);
}

/* Answers a request that is whole; 0 where the connection is gone. */
static int answer(struct connection *one) {
    if (one->answer) return write_on(one);
    if (send(one->fd, small, sizeof small - 1, MSG_NOSIGNAL) == (ssize_t)sizeof small - 1) return 1;
    prepare(one, NULL, SMALL);
    return write_on(one);
}

/* Takes a head that is whole, and answers unless a body follows; 0 where the connection is gone. */
static int take_head(struct connection *one, const char *head, size_t length) {
    const char *path = memchr(head, ' ', length);
    const char *size = field(head, length, "content-length");
    if (field(head, length, "transfer-encoding")) {
        fprintf(stderr, "origin: a chunked request, which nobody sent\n");
        return 0;
    }
    one->swallow = size ? atoll(size) : 0;
    if (path && !strncmp(path, " /counts", 8)) {
        prepare_counts(one);
        return answer(one);
    }
    counts[one->port]++;
    if (path && !strncmp(path, " /bytes/", 8)) prepare(one, NULL, atoll(path + 8));
    if (path && !strncmp(path, " /echo", 6)) prepare(one, head, (long long)length);
    if (path && !strncmp(path, " /stall", 7)) nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    return one->swallow || answer(one);
}

/* Takes what has come; 0 where the connection is gone. */
static int take(struct connection *one) {
    ssize_t came = recv(one->fd, input, sizeof input, 0);
    if (came <= 0) return came < 0 && errno == EAGAIN;
    const char *at = input;
    size_t left = (size_t)came;
    while (left) {
        size_t before = one->held, whole = before || one->swallow ? 0 : head_length(at, left);
        if (one->swallow) {
            size_t gone = left < (size_t)one->swallow ? left : (size_t)one->swallow;
            one->swallow -= (long long)gone, at += gone, left -= gone;
            if (!one->swallow && !answer(one)) return 0;
        } else if (whole) {
            if (!take_head(one, at, whole)) return 0;
            at += whole, left -= whole;
        } else {
            size_t more = left < HEAD - before ? left : HEAD - before;
            if (!one->head) one->head = must(malloc(HEAD));
            memcpy(one->head + before, at, more);
            one->held += more;
            if (!(whole = head_length(one->head, one->held))) return one->held < HEAD;
            one->held = 0;
            if (!take_head(one, one->head, whole)) return 0;
            at += whole - before, left -= whole - before;
        }
    }
    return 1;
}

static void welcome(struct connection *listener) {
    int fd;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *one = must(calloc(1, sizeof *one));
        one->fd = fd;
        one->port = listener->port;
        no_delay(fd);
        watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, one);
    }
}

int main(int count, char **arguments) {
    if (count < 2 || count - 1 > PORTS) die("usage: origin PORT...");
    memset(filler, 'x', sizeof filler);
    epoll = epoll_create1(0);
    for (port_count = 0; port_count < count - 1; port_count++) {
        struct connection *listener = must(calloc(1, sizeof *listener));
        ports[port_count] = (int)number(arguments[port_count + 1], "port");
        listener->fd = listen_on(ports[port_count]);
        listener->port = port_count;
        listener->is_listener = 1;
        watch(epoll, EPOLL_CTL_ADD, listener->fd, EPOLLIN, listener);
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int each = 0; each < ready; each++) {
            struct connection *one = events[each].data.ptr;
            if (one->is_listener)
                welcome(one);
            else if (one->wants_out ? !write_on(one) : !take(one))
                drop(one);
        }
    }
}
