/* As much HTTP as load and origin need of a proxy that speaks it well: the end of a head, and a field of it. */

#ifndef HTTP_H
#define HTTP_H

#include <string.h>
#include <strings.h>

/* The length of the head that `text` begins with, its empty line included; 0: not all of it is here. */
static inline size_t head_length(const char *text, size_t length) {
    const char *end = memmem(text, length, "\r\n\r\n", 4);
    return end ? (size_t)(end - text) + 4 : 0;
}

/* The value of a field, or NULL. `name` in lower case, without the colon. */
static inline const char *field(const char *head, size_t length, const char *name) {
    size_t size = strlen(name);
    const char *end = head + length, *line = head;
    while ((line = memchr(line, '\n', (size_t)(end - line))) && ++line + size + 1 < end)
        if ((*line | 32) == *name && line[size] == ':' && !strncasecmp(line, name, size)) {
            for (line += size + 1; *line == ' '; line++) {}
            return line;
        }
    return NULL;
}

#endif
