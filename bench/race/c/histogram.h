/* Latencies in logarithmic buckets, in the manner of HdrHistogram: nanoseconds, exact to less than one percent. */

#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdio.h>

#define FINE_BITS 7
#define FINE (1 << FINE_BITS)
#define BUCKETS ((64 - FINE_BITS) * FINE)

static long buckets[BUCKETS], recorded;
static long long largest;

static inline void record(long long value) {
    if (value < 0) value = 0;
    int shift = value < 2 * FINE ? 0 : 63 - __builtin_clzll((unsigned long long)value) - FINE_BITS;
    buckets[(shift << FINE_BITS) + (value >> shift)]++;
    recorded++;
    if (value > largest) largest = value;
}

/* The latency that `percent` of what was recorded did not exceed, in nanoseconds. */
static inline long long quantile(double percent) {
    long wanted = (long)(percent / 100 * (double)recorded + 0.9999), seen = 0;
    for (int index = 0; index < BUCKETS; index++)
        if ((seen += buckets[index]) >= wanted && seen) {
            int shift = index < 2 * FINE ? 0 : (index >> FINE_BITS) - 1;
            long long low = (long long)(index - (shift << FINE_BITS)) << shift, high = low + (1LL << shift) - 1;
            return high < largest ? high : largest;
        }
    return largest;
}

static inline void print_quantiles(void) {
    static const double percents[] = {1,  5,  10,   25,   50,   60,    70,    75,    80,     85,     90,    95,
                                      97, 98, 98.5, 99,   99.3, 99.5,  99.7,  99.8,  99.85,  99.9,   99.93, 99.95,
                                      99.97, 99.98, 99.99, 99.999, 100};
    printf("\"quantiles\": {");
    for (size_t each = 0; each < sizeof percents / sizeof *percents; each++)
        printf("%s\"%g\": %.1f", each ? ", " : "", percents[each], (double)quantile(percents[each]) / 1000);
    printf("}");
}

#endif
