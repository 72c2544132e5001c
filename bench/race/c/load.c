/* Load: one thread, epoll, in the manner of wrk and wrk2.
 *
 *   load --port P [--connections N] [--in-flight M] [--milliseconds T] ...       (all options: options.h)
 *
 * It opens N connections, asks once on each, prints `ready` and waits for a line on its standard input. Then it asks:
 * as fast as answers come, M at once (closed loop); at a fixed --rate or a --poisson one (open loop); or --once more on
 * each connection. It prints one line of JSON and keeps its connections open until its input ends, so that whoever
 * started it can read the proxy's clocks and memory exactly before and exactly after.
 *
 * No omission is coordinated: in the open loop a latency counts from the moment a request was due, whether or not a
 * connection was free for it then. What is still unanswered when patience ends counts with the age it has reached.
 */

#include "options.h"
#include "channel.h"
#include "histogram.h"
#include "http.h"
#include "request.h"

#include <math.h>
#include <sys/prctl.h>

#define PIECE 262144
#define HEAD 4096
#define COOKIE 192
#define OPENING 64        /* connections that are opened at once */
#define ADDRESSES 16      /* loopback addresses that connections come from: ports are scarce */
#define LATE 1000000      /* nanoseconds */

enum state { CLOSED, CONNECTING, SHAKING, IDLE, ASKED };

struct connection {
    int fd;
    enum state state;
    int wants_out;
    SSL *tls;
    long long due;              /* when its request was to be sent */
    size_t length, sent;        /* of `request` */
    long long up, down;         /* bytes of bodies still to send and to come; down < 0: the head has not come */
    size_t held;                /* of `head`: an answer's that came in pieces */
    char cookie[COOKIE], request[REQUEST], head[HEAD];
};

static int epoll;
static struct connection *all, **idle;
static long idle_first, idle_count;
static long in_flight, count, answered, errors, closed, late, uncompleted;
static long long bytes, last_answer;
static char input[PIECE], filler[PIECE], first_error[256];
static int counting; /* 0 while connections are opened and asked the first time */

static void set_idle(struct connection *one) {
    idle[(idle_first + idle_count++) % asked.connections] = one;
}

static struct connection *take_idle(void) {
    struct connection *one = idle[idle_first];
    idle_first = (idle_first + 1) % asked.connections;
    idle_count--;
    return one;
}

static void shut(struct connection *one) {
    if (one->tls) SSL_free(one->tls);
    one->tls = NULL;
    close(one->fd);
    one->state = CLOSED;
}

static void failed(struct connection *one, const char *why, const char *text, size_t length) {
    if (!errors++) snprintf(first_error, sizeof first_error, "%s %.*s", why, (int)(length < 80 ? length : 80), text);
    for (char *at = first_error; *at; at++)
        if (*at == '"' || *at == '\\' || *at < ' ') *at = ' ';
    if (one->state != CLOSED) shut(one);
    in_flight--;
    set_idle(one);
}

static void finished(struct connection *one) {
    last_answer = now();
    if (counting) answered++, record(last_answer - one->due);
    in_flight--;
    one->state = IDLE;
    if (asked.fresh) shut(one);
    set_idle(one);
}

static void want_out(struct connection *one, int wants) {
    if (one->wants_out == wants) return;
    one->wants_out = wants;
    watch(epoll, EPOLL_CTL_MOD, one->fd, wants ? EPOLLIN | EPOLLOUT : EPOLLIN, one);
}

static void send_on(struct connection *one) {
    while (one->sent < one->length || one->up) {
        int head = one->sent < one->length;
        size_t length = head ? one->length - one->sent : (size_t)(one->up < PIECE ? one->up : PIECE);
        ssize_t done = put(one->fd, one->tls, head ? one->request + one->sent : filler, length);
        if (done < 0) return failed(one, "the connection ended while a request was sent", "", 0);
        if (!done) return want_out(one, 1);
        if (head) one->sent += (size_t)done;
        else one->up -= done, bytes += done;
    }
    want_out(one, 0);
}

static void send_request(struct connection *one) {
    one->state = ASKED;
    one->length = write_request(one->request, count++, one - all, one->cookie);
    one->sent = one->held = 0;
    one->up = asked.up;
    one->down = -1;
    send_on(one);
}

static void open_connection(struct connection *one) {
    static unsigned opened;
    struct sockaddr_in from = loopback(0), to = loopback(asked.port);
    int on = 1;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + opened++ % ADDRESSES);
    one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (one->fd < 0) die("no socket: %s", strerror(errno));
    no_delay(one->fd);
    setsockopt(one->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(one->fd, (struct sockaddr *)&from, sizeof from) ||
        (connect(one->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS))
        die("cannot connect to port %d: %s", asked.port, strerror(errno));
    one->state = CONNECTING;
    one->wants_out = 1;
    watch(epoll, EPOLL_CTL_ADD, one->fd, EPOLLIN | EPOLLOUT, one);
}

static void ask(struct connection *one, long long due) {
    in_flight++;
    one->due = due;
    if (one->state == CLOSED) open_connection(one);
    else send_request(one);
}

static void connected(struct connection *one) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) return failed(one, "cannot connect:", strerror(error), 80);
    if (!asked.tls) return send_request(one);
    one->tls = tls_begin(one->fd);
    one->state = SHAKING;
}

static void shake(struct connection *one) {
    int done = SSL_do_handshake(one->tls);
    if (done == 1) return send_request(one);
    if (!tls_waits(one->tls, done)) return failed(one, "the handshake failed", "", 0);
    want_out(one, SSL_want_write(one->tls));
}

static void keep_cookie(struct connection *one, const char *head, size_t length) {
    const char *cookie = field(head, length, "set-cookie");
    size_t size = cookie ? strcspn(cookie, ";\r") : 0;
    if (!size || size >= COOKIE || asked.fresh) return; /* a new connection is a new user */
    memcpy(one->cookie, cookie, size);
    one->cookie[size] = 0;
}

/* Takes a whole head; 0 where the request has failed. */
static int take_head(struct connection *one, const char *head, size_t length) {
    const char *size = field(head, length, "content-length");
    if (strncmp(head, "HTTP/1.1 2", 10)) return failed(one, "answered:", head, strcspn(head, "\r")), 0;
    if (!size) return failed(one, "an answer without Content-Length", head, length), 0;
    one->down = atoll(size);
    keep_cookie(one, head, length);
    return 1;
}

static void take(struct connection *one, const char *at, size_t left) {
    if (one->state == IDLE) return failed(one, "more than was asked for", at, left);
    if (one->down < 0) {
        size_t before = one->held, whole = before ? 0 : head_length(at, left);
        const char *head = at;
        if (!whole) {
            size_t more = left < HEAD - 1 - before ? left : HEAD - 1 - before;
            memcpy(one->head + before, at, more);
            one->held += more;
            one->head[one->held] = 0;
            head = one->head;
            whole = head_length(head, one->held);
            if (!whole && one->held == HEAD - 1) return failed(one, "a long head", head, HEAD);
            if (!whole) return;
        }
        if (!take_head(one, head, whole)) return;
        at += whole - before, left -= whole - before;
    }
    bytes += (long long)left;
    one->down -= (long long)left;
    if (one->down < 0) return failed(one, "more than was asked for", at, left);
    if (one->down == 0 && (one->up || one->sent < one->length))
        return failed(one, "answered before all was sent", "", 0);
    if (one->down == 0) finished(one);
}

static void receive(struct connection *one) {
    do {
        ssize_t came = get(one->fd, one->tls, input, sizeof input - 1);
        if (!came) return;
        if (came < 0 && one->state != IDLE) return failed(one, "the connection ended before the answer did", "", 0);
        if (came < 0) {
            closed++;
            return shut(one); /* it stays among the idle: its next request opens it again */
        }
        input[came] = 0;
        take(one, input, (size_t)came);
    } while (one->tls && SSL_pending(one->tls));
}

static void handle(struct connection *one, unsigned events) {
    if (one->state == CLOSED) return;
    if (one->state == CONNECTING) {
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) connected(one);
        if (one->state == SHAKING) shake(one);
        return;
    }
    if (one->state == SHAKING) return shake(one);
    if (events & EPOLLOUT) send_on(one);
    if (events & ~(unsigned)EPOLLOUT && one->state != CLOSED) receive(one);
}

/* Waits for events until `until` at the latest, and handles them. */
static void turn(long long until) {
    struct epoll_event events[EVENTS];
    long long left = until - now();
    struct timespec patience = {.tv_sec = left > 0 ? left / 1000000000 : 0, .tv_nsec = left > 0 ? left % 1000000000 : 0};
    int ready = epoll_pwait2(epoll, events, EVENTS, &patience, NULL);
    for (int each = 0; each < ready; each++) handle(events[each].data.ptr, events[each].events);
}

/* Once on each connection, few at a time. */
static void ask_all(long at_once) {
    long left = asked.connections;
    long long patience = now() + 60000000000LL;
    while ((left || in_flight) && now() < patience && !errors) {
        for (; left && in_flight < at_once; left--) ask(take_idle(), now());
        turn(patience);
    }
    uncompleted = left + in_flight;
}

static void run_closed(long long end) {
    while (now() < end) {
        while (in_flight < asked.in_flight && idle_count) ask(take_idle(), now());
        turn(end);
    }
}

static long long interval(void) {
    double mean = 1e9 / (double)asked.rate;
    return (long long)(asked.poisson ? -log(1 - drand48()) * mean : mean);
}

static void run_open(long long begin, long long end, long long patience) {
    long long due = begin;
    while (due < end && now() < patience) {
        for (long long time = now(); due < end && due <= time && idle_count; due += interval()) {
            late += time - due > LATE;
            ask(take_idle(), due);
        }
        turn(idle_count ? due : patience);
    }
    for (; due < end; due += interval(), uncompleted++) record(patience - due);
}

static void report(double seconds) {
    printf("{\"requests\": %ld, \"errors\": %ld, \"uncompleted\": %ld, \"late\": %ld, \"closed\": %ld, "
           "\"seconds\": %.6f, \"bytes\": %lld, \"error\": \"%s\", ",
           answered, errors, uncompleted, late, closed, seconds, bytes, first_error);
    print_quantiles();
    printf("}\n");
    fflush(stdout);
}

int main(int argument_count, char **arguments) {
    char line[64];
    read_options(argument_count, arguments);
    prctl(PR_SET_TIMERSLACK, 1);
    memset(filler, 'x', sizeof filler);
    epoll = epoll_create1(0);
    all = must(calloc((size_t)asked.connections, sizeof *all));
    idle = must(calloc((size_t)asked.connections, sizeof *idle));
    for (long each = 0; each < asked.connections; each++) set_idle(&all[each]);
    ask_all(OPENING);
    if (errors || uncompleted) die("while connections were opened: %ld unanswered; %s", uncompleted, first_error);
    printf("ready\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) return 1;

    bytes = 0;
    counting = 1;
    long long begin = now(), end = begin + asked.run_ms * 1000000LL, patience = end + asked.drain_ms * 1000000LL;
    if (asked.once) ask_all(OPENING);
    else if (asked.rate) run_open(begin, end, patience);
    else run_closed(end);
    while (in_flight && now() < patience) turn(patience);
    long long stopped = now();
    if (!asked.once) uncompleted += in_flight;
    for (long each = 0; each < asked.connections; each++)
        if (all[each].state != CLOSED && all[each].state != IDLE) record(stopped - all[each].due);
    report((double)((last_answer > begin ? last_answer : stopped) - begin) / 1e9);
    while (fgets(line, sizeof line, stdin)) {}
    return 0;
}
