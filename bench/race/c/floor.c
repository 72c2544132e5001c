/* The floor: what forwarding costs where nothing is understood. One thread, epoll, no HTTP.
 *
 *   floor LISTEN STABLE CANARY
 *
 * Every tenth client connection gets a connection to the canary, the others one to stable; bytes go both ways:
 * four socket calls a request (recv, send, recv, send), and whatever epoll takes. What a peer does not take at once
 * is kept, and the other side is not read until it is gone.
 */

#define _GNU_SOURCE
#include "net.h"

#define PIECE 65536
#define CANARY_EVERY 10

struct end {
    int fd, gone;
    unsigned events;
    struct end *other, *next;  /* `next`: both are freed after the events in hand */
    char *kept;                /* what this end has not taken yet */
    size_t kept_length, kept_sent;
};

static int epoll;
static char input[PIECE];
static struct end *dead;

static void part(struct end *one) {
    if (one->gone) return;
    for (int each = 0; each < 2; each++, one = one->other) {
        one->gone = 1;
        close(one->fd);
        one->next = dead;
        dead = one;
    }
}

static void bury(void) {
    while (dead) {
        struct end *next = dead->next;
        free(dead->kept);
        free(dead);
        dead = next;
    }
}

static void want(struct end *one, unsigned events) {
    if (one->events != events) watch(epoll, EPOLL_CTL_MOD, one->fd, one->events = events, one);
}

static void keep(struct end *one, const char *bytes, size_t length) {
    one->kept = must(malloc(length));
    memcpy(one->kept, bytes, length);
    one->kept_length = length;
    one->kept_sent = 0;
    want(one, one->events | EPOLLOUT);
    want(one->other, one->other->events & ~(unsigned)EPOLLIN);
}

static void forward(struct end *one) {
    ssize_t came = recv(one->fd, input, sizeof input, 0);
    if (came < 0 && errno == EAGAIN) return;
    if (came <= 0) return part(one);
    ssize_t sent = send(one->other->fd, input, (size_t)came, MSG_NOSIGNAL);
    if (sent == came) return;
    if (sent < 0 && errno != EAGAIN) return part(one);
    size_t taken = sent < 0 ? 0 : (size_t)sent;
    keep(one->other, input + taken, (size_t)came - taken);
}

static void flush(struct end *one) {
    ssize_t sent = send(one->fd, one->kept + one->kept_sent, one->kept_length - one->kept_sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) return part(one);
    if ((one->kept_sent += (size_t)sent) < one->kept_length) return;
    free(one->kept);
    one->kept = NULL;
    want(one, one->events & ~(unsigned)EPOLLOUT);
    want(one->other, one->other->events | EPOLLIN);
}

static struct end *begin(int fd) {
    struct end *one = must(calloc(1, sizeof *one));
    one->fd = fd;
    one->events = EPOLLIN;
    no_delay(fd);
    return one;
}

static void welcome(int listener, const struct sockaddr_in *origins) {
    static unsigned clients;
    int client;
    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        const struct sockaddr_in *origin = &origins[++clients % CANARY_EVERY == 0];
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)origin, sizeof *origin)) {
            if (fd >= 0) close(fd);
            close(client);
            continue;
        }
        fcntl(fd, F_SETFL, O_NONBLOCK);
        struct end *one = begin(client), *other = begin(fd);
        one->other = other, other->other = one;
        watch(epoll, EPOLL_CTL_ADD, client, EPOLLIN, one);
        watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, other);
    }
}

int main(int count, char **arguments) {
    if (count != 4) die("usage: floor LISTEN STABLE CANARY");
    int listener = listen_on((int)number(arguments[1], "port"));
    struct sockaddr_in origins[2] = {
        loopback((int)number(arguments[2], "port")), loopback((int)number(arguments[3], "port"))};
    epoll = epoll_create1(0);
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int each = 0; each < ready; each++) {
            struct end *one = events[each].data.ptr;
            if (!one) {
                welcome(listener, origins);
                continue;
            }
            if (!one->gone && events[each].events & EPOLLOUT && one->kept) flush(one);
            if (!one->gone && events[each].events & ~(unsigned)EPOLLOUT && one->events & EPOLLIN) forward(one);
            if (!one->gone && events[each].events & (EPOLLHUP | EPOLLERR) && !(one->events & EPOLLIN)) part(one);
        }
        bury();
    }
}
