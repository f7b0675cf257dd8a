// The inner loops of the search, one table of functions per instruction set. Raw pointers only: these files are
// compiled with other flags than the rest, so nothing here may instantiate a shared inline function.
#pragma once
#include <cstddef>
#include <cstdint>

namespace leadline {

// Asks for a cache line that will be read soon, into L2: a core keeps about twice as many misses in flight there as in
// L1, and this search waits for memory more than for anything else (measured: 3.7 ns a line against 11).
#define LEADLINE_FETCH_AHEAD(address) __builtin_prefetch((address), 0, 2)

struct Probe {  // one bucket to look through for one query
    uint32_t begin, end;
    uint16_t chunk;
    int16_t limit;  // greatest distance of the next chunk that can still belong to a match
};

struct Hit {
    uint32_t query, row, distance;
};

// Survivors are query << 48 | chunk << 32 | place in the chunk's table. `flush` empties a full buffer.
struct SurvivorBuffer {
    uint64_t* data;
    size_t used, capacity;
    void (*flush)(void* context);
    void* context;
};

struct SweepArgs {  // one chunk, many queries, buckets in order
    const uint32_t* offsets;      // 65537
    const uint16_t* next;
    const uint32_t* item_starts;  // 65537: items of bucket b are items[item_starts[b] .. item_starts[b + 1])
    const uint16_t* items;        // query numbers
    const uint32_t* packed;       // per query: chunk value | next chunk's value << 16
    int64_t* budget;              // per query: survivors it may still produce; below zero it is left to the scan
    uint16_t* visited;            // room for 65536 bucket numbers
    uint32_t chunk;
    int limit;                    // of the next chunk's distance where the bucket is the query's own
};

struct Kernels {
    void (*sweep)(const SweepArgs& args, SurvivorBuffer& out);
    // Looks through the probes of one query; stops early once `budget` is exhausted.
    void (*stream)(uint32_t query, const Probe* probes, size_t count, const uint16_t* const* next, const uint16_t* query_next,
                   int64_t& budget, SurvivorBuffer& out);
    // Rows of survivors -> hits within the radius. Returns the number of hits; SIZE_MAX when a row is out of range.
    size_t (*verify)(const uint64_t* survivors, size_t count, const uint8_t* const* ids, uint32_t id_bytes,
                     const uint64_t* rows, size_t row_count, const uint64_t* queries, unsigned radius, Hit* hits);
    // rows[0..count) of 4 words against one query; writes row + distance of those within the radius.
    size_t (*scan_rows)(const uint64_t* rows, size_t first_row, size_t count, const uint64_t* query, unsigned radius,
                        uint32_t query_number, Hit* hits);
    // The same over planes: 32-bit word k of row i is planes[k * stride + i]; first_row and count are multiples of 32.
    // The first three planes are the prefix: few rows that are no match have 96 bits within the radius.
    size_t (*scan_planes)(const uint32_t* planes, size_t stride, size_t first_row, size_t count, const uint64_t* query,
                          unsigned radius, uint32_t query_number, Hit* hits);
};

extern const Kernels kSearchSerial;
#if defined(LEADLINE_X86)
extern const Kernels kSearchAvx2;
extern const Kernels kSearchAvx512;
#endif

}  // namespace leadline
