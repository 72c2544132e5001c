/* Requests as a browser sends them: Host first, eight fields, another path and cookie each time, so no proxy profits
 * from seeing the same head again. A browser returns the cookie it was given, and so do we. */

#ifndef REQUEST_H
#define REQUEST_H

#include "options.h"

#define REQUEST 1024
#define CART_EVERY 20   /* what a goal counts */
#define NAMED_EVERY 100 /* a user whom a rule names; rules are for few */

static inline char *append(char *to, const char *text) {
    size_t length = strlen(text);
    memcpy(to, text, length);
    return to + length;
}

static inline char *append_number(char *to, long value) {
    char digits[24];
    int length = 0;
    do digits[length++] = (char)('0' + value % 10);
    while (value /= 10);
    while (length) *to++ = digits[--length];
    return to;
}

/* Writes request number `count` of connection number `place`: a connection keeps to its host, as a browser does.
 * `cookie` is what the proxy gave, or empty. Returns the request's length. */
static inline size_t write_request(char *buffer, long count, long place, const char *cookie) {
    char *to = append(buffer, asked.up ? "POST " : "GET ");
    if (asked.path)
        to = append(to, asked.path);
    else
        to = append(append_number(append(to, count % CART_EVERY ? "/products/" : "/cart/"), count), "?page=1");
    to = append(to, " HTTP/1.1\r\nHost: shop");
    if (asked.hosts) to = append_number(append(to, "-"), place % asked.hosts);
    to = append(to,
                ".example.com\r\n"
                "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n"
                "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
                "Accept-Language: en-US,en;q=0.5\r\n"
                "Accept-Encoding: gzip, deflate, br\r\n"
                "Cache-Control: no-cache\r\n"
                "Referer: http://shop.example.com/products\r\n");
    if (asked.users) {
        to = append(to, count % NAMED_EVERY ? "X-User: guest-" : "X-User: user-");
        to = append(append_number(to, count % asked.users), "\r\n");
    }
    if (asked.up) to = append(append_number(append(to, "Content-Length: "), asked.up), "\r\n");
    to = append_number(append(to, "Cookie: session=0123456789abcdef"), count);
    if (*cookie) to = append(append(to, "; "), cookie);
    to = append(to, "\r\n\r\n");
    return (size_t)(to - buffer);
}

#endif
