/* A connection's bytes, in clear or in TLS. Both functions return what passed, 0: nothing now, -1: it is over. */

#ifndef CHANNEL_H
#define CHANNEL_H

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net.h"

static SSL_CTX *tls_context;

/* The certificate is not checked: what is measured is the server's work. */
static inline SSL *tls_begin(int fd) {
    if (!tls_context) {
        tls_context = must(SSL_CTX_new(TLS_client_method()));
        SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);
    }
    SSL *tls = must(SSL_new(tls_context));
    SSL_set_fd(tls, fd);
    SSL_set_tlsext_host_name(tls, "shop.example.com");
    SSL_set_connect_state(tls);
    return tls;
}

static inline int tls_waits(SSL *tls, int result) {
    int error = SSL_get_error(tls, result);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static inline ssize_t put(int fd, SSL *tls, const char *bytes, size_t length) {
    if (tls) {
        int done = SSL_write(tls, bytes, (int)length);
        return done > 0 ? done : tls_waits(tls, done) ? 0 : -1;
    }
    ssize_t done = send(fd, bytes, length, MSG_NOSIGNAL);
    return done >= 0 ? done : errno == EAGAIN ? 0 : -1;
}

static inline ssize_t get(int fd, SSL *tls, char *bytes, size_t length) {
    if (tls) {
        int done = SSL_read(tls, bytes, (int)length);
        return done > 0 ? done : tls_waits(tls, done) ? 0 : -1;
    }
    ssize_t done = recv(fd, bytes, length, 0);
    return done > 0 ? done : done < 0 && errno == EAGAIN ? 0 : -1;
}

#endif
