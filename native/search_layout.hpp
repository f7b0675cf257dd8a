// What building, opening and searching an index share: its header, where its tables lie, and how hashes are cut into
// chunks. Not part of the kernel's face (search.hpp).
#pragma once
#include <cstring>

#include "search.hpp"

namespace leadline {

constexpr uint64_t kMagic = 0x3158444E494C4C00ull;  // "\0LLINDX1", little-endian
constexpr uint32_t kVersion = 1;
constexpr size_t kAlign = 64;
constexpr size_t kPadding = 256;  // loops read and prefetch past the end of a table

struct Section {
    uint64_t offset, size;
};

struct Header {
    uint64_t magic;
    uint32_t version, layout;
    uint64_t count, distinct, total;
    uint32_t id_bytes, grouped, chunks, reserved;
    Section rows, first, origin;
    Section offsets[kMaxChunks], next[kMaxChunks], ids[kMaxChunks];
    uint64_t checksum;  // of everything above
};

struct Chunks {
    size_t count;
    uint32_t offset[kMaxChunks], bits[kMaxChunks];
};

inline Chunks chunks_of(Layout layout) {
    Chunks c{};
    if (layout == Layout::scan) return c;
    c.count = layout == Layout::mih16 ? 16 : 11;
    uint32_t at = 0;
    for (size_t i = 0; i < c.count; i++) {
        c.offset[i] = at;
        c.bits[i] = layout == Layout::mih16 ? 16 : i == 10 ? 20 : i < 6 ? 24 : 23;
        at += c.bits[i];
    }
    return c;
}

// The `bits` (<= 32) bits from `offset` on, of the 256-bit ring that starts at the top of w[0].
inline uint32_t ring_bits(const uint64_t* w, uint32_t offset, uint32_t bits) {
    const uint32_t word = (offset >> 6) & 3, shift = offset & 63;
    uint64_t v = w[word] << shift;
    if (shift) v |= w[(word + 1) & 3] >> (64 - shift);
    return static_cast<uint32_t>(v >> (64 - bits));
}

inline uint64_t mix(uint64_t x) {  // splitmix64's finaliser
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

inline uint64_t checksum_of(const Header& h) {
    uint64_t sum = 0x6c6561646c696e65ull;
    const auto* p = reinterpret_cast<const uint8_t*>(&h);
    for (size_t i = 0; i + 8 <= offsetof(Header, checksum); i += 8) {
        uint64_t v;
        std::memcpy(&v, p + i, 8);
        sum = mix(sum ^ v) + 0x9e3779b97f4a7c15ull;
    }
    return sum;
}

inline bool same(const Row& a, const Row& b) { return std::memcmp(&a, &b, sizeof(Row)) == 0; }

inline size_t plane_stride(size_t distinct) { return (distinct + 31) / 32 * 32; }

inline size_t aligned(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

inline Header plan(Layout layout, size_t count, size_t distinct, bool grouped) {
    Header h{};
    h.magic = kMagic;
    h.version = kVersion;
    h.layout = static_cast<uint32_t>(layout);
    h.count = count;
    h.distinct = distinct;
    h.id_bytes = count < (1u << 24) ? 3 : 4;
    h.grouped = grouped;
    const Chunks c = chunks_of(layout);
    h.chunks = static_cast<uint32_t>(c.count);
    size_t at = aligned(sizeof(Header));
    auto place = [&](Section& s, size_t size) {
        s = Section{at, size};
        at += aligned(size);
    };
    place(h.rows, layout == Layout::scan ? plane_stride(distinct) * 32 : distinct * 32);
    if (grouped) place(h.first, (distinct + 1) * 4);
    place(h.origin, count * h.id_bytes);
    for (size_t i = 0; i < c.count; i++) {
        place(h.offsets[i], ((size_t{1} << c.bits[i]) + 1) * 4);
        place(h.next[i], distinct * 2);
        if (i > 0) place(h.ids[i], distinct * h.id_bytes);
    }
    h.total = at + kPadding;
    h.checksum = checksum_of(h);
    return h;
}

}  // namespace leadline
