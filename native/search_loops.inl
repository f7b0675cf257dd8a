// The loops shared by every instruction set; included once per file, inside its own namespace, after that file has
// defined `kLine` and `filter_line`.
//
// filter_line(p, valid, q, limit) -> bit mask of the places i < valid (<= kLine) with popcount(p[i] ^ q) <= limit

static inline uint32_t load_id(const uint8_t* ids, uint32_t id_bytes, size_t place) {
    uint32_t id;
    __builtin_memcpy(&id, ids + place * id_bytes, 4);  // tables end with padding
    return id_bytes == 3 ? id & 0xffffffu : id;
}

static inline unsigned row_distance(const uint64_t* a, const uint64_t* b) {
    return static_cast<unsigned>(__builtin_popcountll(a[0] ^ b[0]) + __builtin_popcountll(a[1] ^ b[1]) +
                                 __builtin_popcountll(a[2] ^ b[2]) + __builtin_popcountll(a[3] ^ b[3]));
}

// 32-bit word k of a row of 64-bit words.
static inline uint32_t half_word(const uint64_t* row, size_t k) { return static_cast<uint32_t>(row[k >> 1] >> (k & 1 ? 0 : 32)); }

static inline unsigned plane_distance(const uint32_t* planes, size_t stride, size_t row, const uint64_t* query) {
    unsigned distance = 0;
    for (size_t k = 0; k < 8; k++) distance += static_cast<unsigned>(__builtin_popcount(planes[k * stride + row] ^ half_word(query, k)));
    return distance;
}

// Row after row, one query: what a processor without wider loops does, and what is left over where there are some.
static size_t scan_rows_singly(const uint64_t* rows, size_t first_row, size_t count, const uint64_t* query, unsigned radius,
                               uint32_t query_number, Hit* hits) {
    size_t found = 0;
    for (size_t row = first_row; row < first_row + count; row++) {
        const unsigned distance = row_distance(rows + row * 4, query);
        if (distance <= radius) hits[found++] = Hit{query_number, static_cast<uint32_t>(row), distance};
    }
    return found;
}

static inline void keep(SurvivorBuffer& out, uint64_t tag, uint32_t base, uint32_t mask, int64_t& budget) {
    if (out.used + 32 > out.capacity) out.flush(out.context);
    budget -= __builtin_popcount(mask);
    while (mask) {
        const unsigned bit = static_cast<unsigned>(__builtin_ctz(mask));
        mask &= mask - 1;
        out.data[out.used++] = tag << 32 | (base + bit);
    }
}

static inline void prefetch_bucket(const SweepArgs& a, uint32_t bucket) {
    constexpr uint32_t kMost = 12 * 32;  // longer buckets are left to the processor's own prefetcher
    const uint32_t begin = a.offsets[bucket] & ~31u, end = a.offsets[bucket + 1];
    for (uint32_t at = begin; at < end && at < begin + kMost; at += 32) LEADLINE_FETCH_AHEAD(a.next + at);
}

static void sweep(const SweepArgs& a, SurvivorBuffer& out) {
    constexpr size_t kAhead = 12;
    size_t visits = 0;
    for (uint32_t bucket = 0; bucket < 65536; bucket++) {
        a.visited[visits] = static_cast<uint16_t>(bucket);
        visits += (a.item_starts[bucket] != a.item_starts[bucket + 1]) & (a.offsets[bucket] != a.offsets[bucket + 1]);
    }
    for (size_t visit = 0; visit < visits; visit++) {
        if (visit + kAhead < visits) prefetch_bucket(a, a.visited[visit + kAhead]);
        const uint32_t bucket = a.visited[visit];
        const uint32_t begin = a.offsets[bucket], end = a.offsets[bucket + 1], item_end = a.item_starts[bucket + 1];
        for (uint32_t item = a.item_starts[bucket]; item < item_end; item++) {
            const uint32_t query = a.items[item];
            const uint32_t packed = a.packed[query];
            const int limit = a.limit - ((packed & 0xffff) != bucket);
            const uint16_t wanted = static_cast<uint16_t>(packed >> 16);
            for (uint32_t at = begin; at < end; at += kLine) {
                const uint32_t mask = filter_line(a.next + at, end - at, wanted, limit);
                if (__builtin_expect(mask != 0, 0)) {
                    if (a.budget[query] < 0) break;
                    keep(out, uint64_t{query} << 16 | a.chunk, at, mask, a.budget[query]);
                }
            }
        }
    }
}

static void stream(uint32_t query, const Probe* probes, size_t count, const uint16_t* const* next, const uint16_t* query_next,
                   int64_t& budget, SurvivorBuffer& out) {
    // A cursor runs kAhead cache lines (128 KB) in front of the reader over the concatenation of all buckets.
    constexpr int kAhead = 2048;
    size_t ahead = 0;
    const char *cursor = nullptr, *cursor_end = nullptr;
    auto enter = [&]() {
        if (ahead >= count) return;
        const uint16_t* table = next[probes[ahead].chunk];
        cursor = reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(table + probes[ahead].begin) & ~uintptr_t{63});
        cursor_end = reinterpret_cast<const char*>(table + probes[ahead].end);
    };
    auto advance = [&]() {
        if (ahead >= count) return;
        LEADLINE_FETCH_AHEAD(cursor);
        cursor += 64;
        if (cursor >= cursor_end) {
            ahead++;
            enter();
        }
    };
    enter();
    for (int i = 0; i < kAhead; i++) advance();
    for (size_t i = 0; i < count && budget >= 0; i++) {
        const Probe probe = probes[i];
        const uint16_t* table = next[probe.chunk];
        const uint16_t wanted = query_next[probe.chunk];
        // By whole cache lines, so that reader and cursor advance in step.
        for (uint32_t at = probe.begin & ~(kLine - 1); at < probe.end; at += kLine) {
            advance();
            uint32_t mask = filter_line(table + at, probe.end - at, wanted, probe.limit);
            if (__builtin_expect(mask != 0, 0)) {
                if (at < probe.begin) mask &= ~0u << (probe.begin - at);
                keep(out, uint64_t{query} << 16 | probe.chunk, at, mask, budget);
            }
        }
    }
}

static size_t verify(const uint64_t* survivors, size_t count, const uint8_t* const* ids, uint32_t id_bytes, const uint64_t* rows,
                     size_t row_count, const uint64_t* queries, unsigned radius, Hit* hits) {
    constexpr size_t kGroup = 128;
    uint32_t row_of[kGroup];
    size_t found = 0;
    auto fetch_ids = [&](size_t from) {
        for (size_t i = from; i < count && i < from + kGroup; i++) {
            const uint8_t* table = ids[survivors[i] >> 32 & 0xffff];
            if (table) LEADLINE_FETCH_AHEAD(table + (survivors[i] & 0xffffffffu) * id_bytes);
        }
    };
    fetch_ids(0);
    for (size_t from = 0; from < count; from += kGroup) {
        const size_t n = count - from < kGroup ? count - from : kGroup;
        fetch_ids(from + kGroup);
        for (size_t i = from; i < from + n; i++) {
            const uint8_t* table = ids[survivors[i] >> 32 & 0xffff];
            const uint32_t place = static_cast<uint32_t>(survivors[i]);
            const uint32_t row = table ? load_id(table, id_bytes, place) : place;
            if (row >= row_count) return SIZE_MAX;
            row_of[i - from] = row;
            LEADLINE_FETCH_AHEAD(rows + size_t{row} * 4);
        }
        for (size_t i = 0; i < n; i++) {
            const uint32_t query = static_cast<uint32_t>(survivors[from + i] >> 48);
            const unsigned distance = row_distance(rows + size_t{row_of[i]} * 4, queries + size_t{query} * 4);
            if (distance <= radius) hits[found++] = Hit{query, row_of[i], distance};
        }
    }
    return found;
}
