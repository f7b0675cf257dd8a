// Building, opening and searching an index. See search.hpp for the layouts and why the search is exact.
#include "search.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "search_kernels.hpp"

namespace leadline {
namespace {

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

Chunks chunks_of(Layout layout) {
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

uint64_t mix(uint64_t x) {  // splitmix64's finaliser
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

uint64_t checksum_of(const Header& h) {
    uint64_t sum = 0x6c6561646c696e65ull;
    const auto* p = reinterpret_cast<const uint8_t*>(&h);
    for (size_t i = 0; i + 8 <= offsetof(Header, checksum); i += 8) {
        uint64_t v;
        std::memcpy(&v, p + i, 8);
        sum = mix(sum ^ v) + 0x9e3779b97f4a7c15ull;
    }
    return sum;
}

// Fixed for ever by kVersion: a Fisher-Yates shuffle of the 256 bits drawn from splitmix64(20261123).
struct Permutation {
    alignas(64) Row table[64][16];  // per nibble of the input, the output bits it sets
    uint64_t word0[64][16];         // the same for the first word alone
    Permutation() {
        uint32_t to[256];
        std::iota(to, to + 256, 0u);
        uint64_t state = 20261123;
        for (uint32_t i = 255; i > 0; i--) std::swap(to[i], to[mix(state += 0x9e3779b97f4a7c15ull) % (i + 1)]);
        std::memset(table, 0, sizeof table);
        for (uint32_t nibble = 0; nibble < 64; nibble++)
            for (uint32_t value = 0; value < 16; value++)
                for (uint32_t bit = 0; bit < 4; bit++)
                    if (value >> (3 - bit) & 1) {
                        const uint32_t out = to[nibble * 4 + bit];
                        table[nibble][value].w[out >> 6] |= 1ull << (63 - (out & 63));
                    }
        for (uint32_t nibble = 0; nibble < 64; nibble++)
            for (uint32_t value = 0; value < 16; value++) word0[nibble][value] = table[nibble][value].w[0];
    }
};

const Permutation& permutation() {
    static const Permutation p;
    return p;
}

uint64_t permuted_word0(const uint8_t* hash) {
    const Permutation& p = permutation();
    uint64_t out = 0;
    for (size_t i = 0; i < 32; i++) out |= p.word0[2 * i][hash[i] >> 4] | p.word0[2 * i + 1][hash[i] & 15];
    return out;
}

void run_threads(int threads, const std::function<void(int)>& work) {
    std::vector<std::thread> pool;
    std::vector<std::exception_ptr> errors(static_cast<size_t>(threads));
    auto guarded = [&](int t) {
        try {
            work(t);
        } catch (...) {
            errors[static_cast<size_t>(t)] = std::current_exception();
        }
    };
    for (int t = 1; t < threads; t++) pool.emplace_back(guarded, t);
    guarded(0);
    for (auto& thread : pool) thread.join();
    for (auto& error : errors)
        if (error) std::rethrow_exception(error);
}

int usable_threads(int threads, size_t items, size_t per_thread) {
    const size_t wanted = std::max<size_t>(1, items / per_thread);
    return static_cast<int>(std::min<size_t>(static_cast<size_t>(std::max(1, threads)), wanted));
}

// ---------------------------------------------------------------- building

void store_id(uint8_t* table, uint32_t id_bytes, size_t place, uint32_t id) { std::memcpy(table + place * id_bytes, &id, id_bytes); }

// Working memory in large pages, zeroed by the system only where it is touched.
template <class T>
class Workspace {
  public:
    explicit Workspace(size_t count) : block_(allocate_block(std::max<size_t>(1, count) * sizeof(T))) {}
    ~Workspace() { free_block(block_); }
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;
    T* data() { return reinterpret_cast<T*>(block_.data); }
    Block release(size_t size) {  // its first `size` bytes, now the caller's to free
        Block out = block_;
        out.size = size;
        block_ = Block{};
        return out;
    }

  private:
    Block block_;
};

// Permuted hashes into `rows`, in order, and into `origin` the position each came from. A counting sort by the top 16
// bits, then each part by comparison. Equal hashes keep the order of their positions.
void sort_rows(const uint8_t* hashes, size_t count, int threads, Row* rows, uint32_t* origin) {
    const int t_count = usable_threads(threads, count, 100'000);
    std::vector<std::vector<uint32_t>> starts(static_cast<size_t>(t_count), std::vector<uint32_t>(65536, 0));
    auto slice = [&](int t) { return std::pair{count * static_cast<size_t>(t) / static_cast<size_t>(t_count), count * (static_cast<size_t>(t) + 1) / static_cast<size_t>(t_count)}; };
    run_threads(t_count, [&](int t) {
        const auto [from, to] = slice(t);
        auto& histogram = starts[static_cast<size_t>(t)];
        for (size_t i = from; i < to; i++) histogram[permuted_word0(hashes + i * 32) >> 48]++;
    });
    std::vector<size_t> part(65537);
    uint32_t at = 0;
    for (size_t b = 0; b < 65536; b++) {
        part[b] = at;
        for (auto& histogram : starts) {
            const uint32_t n = histogram[b];
            histogram[b] = at;
            at += n;
        }
    }
    part[65536] = at;
    run_threads(t_count, [&](int t) {
        const auto [from, to] = slice(t);
        auto& next = starts[static_cast<size_t>(t)];
        for (size_t i = from; i < to; i++) {
            const Row row = permute(hashes + i * 32);
            const uint32_t place = next[row.w[0] >> 48]++;
            rows[place] = row;
            origin[place] = static_cast<uint32_t>(i);
        }
    });
    std::atomic<size_t> next_part{0};
    run_threads(t_count, [&](int) {
        struct Key {
            uint64_t w0;
            uint32_t at;
        };
        std::vector<Key> keys;
        std::vector<Row> old_rows;
        std::vector<uint32_t> old_origin;
        for (size_t block; (block = next_part.fetch_add(64)) < 65536;)
            for (size_t b = block; b < block + 64; b++) {
                const size_t from = part[b], n = part[b + 1] - from;
                if (n < 2) continue;
                old_rows.assign(rows + from, rows + from + n);
                old_origin.assign(origin + from, origin + from + n);
                keys.resize(n);
                for (size_t i = 0; i < n; i++) keys[i] = Key{old_rows[i].w[0], static_cast<uint32_t>(i)};
                std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b2) {
                    if (a.w0 != b2.w0) return a.w0 < b2.w0;
                    const int order = std::memcmp(old_rows[a.at].w + 1, old_rows[b2.at].w + 1, 24);
                    return order != 0 ? order < 0 : a.at < b2.at;
                });
                for (size_t i = 0; i < n; i++) {
                    rows[from + i] = old_rows[keys[i].at];
                    origin[from + i] = old_origin[keys[i].at];
                }
            }
    });
}

bool same(const Row& a, const Row& b) { return std::memcmp(&a, &b, sizeof(Row)) == 0; }

// Stores equal neighbours once; first[u] is where distinct row u begins in `origin`. Empty when all are distinct.
std::vector<uint32_t> group_equal(Row* rows, size_t count, size_t& distinct) {
    distinct = count ? 1 : 0;
    for (size_t i = 1; i < count; i++) distinct += !same(rows[i], rows[i - 1]);
    std::vector<uint32_t> first;
    if (distinct == count) return first;
    first.reserve(distinct + 1);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !same(rows[i], rows[first.size() - 1])) {
            rows[first.size()] = rows[i];
            first.push_back(static_cast<uint32_t>(i));
        }
    first.push_back(static_cast<uint32_t>(count));
    return first;
}

// One chunk's table: rows ordered by (chunk value, row), the next 16 bits beside. Two passes of a radix sort.
void fill_chunk(const Row* rows, size_t distinct, uint32_t offset, uint32_t bits, uint32_t* offsets, uint16_t* next, uint8_t* ids,
                uint32_t id_bytes, uint64_t* scratch) {
    const size_t buckets = size_t{1} << bits;
    const uint32_t following = (offset + bits) & 255;
    if (!ids) {  // chunk 0: rows are in its order already
        for (size_t i = 0; i < distinct; i++) {
            offsets[ring_bits(rows[i].w, offset, bits) + 1]++;
            next[i] = static_cast<uint16_t>(ring_bits(rows[i].w, following, 16));
        }
        for (size_t b = 0; b < buckets; b++) offsets[b + 1] += offsets[b];
        return;
    }
    const uint32_t low_bits = bits - 8;
    size_t part[257] = {};
    for (size_t i = 0; i < distinct; i++) part[ring_bits(rows[i].w, offset, 8) + 1]++;
    for (size_t p = 0; p < 256; p++) part[p + 1] += part[p];
    size_t cursor[256];
    std::copy(part, part + 256, cursor);
    std::vector<uint32_t> at;
    for (size_t i = 0; i < distinct; i++)
        scratch[cursor[ring_bits(rows[i].w, offset, 8)]++] =
            uint64_t{ring_bits(rows[i].w, following, 16)} << 48 | uint64_t{ring_bits(rows[i].w, offset + 8, low_bits)} << 32 | i;
    for (size_t p = 0; p < 256; p++) {
        const size_t base = p << low_bits, span = size_t{1} << low_bits;
        uint32_t* local = offsets + base;  // local[b + 1] counts, then starts
        for (size_t i = part[p]; i < part[p + 1]; i++) local[(scratch[i] >> 32 & 0xffff) + 1]++;
        for (size_t b = 0; b < span; b++) local[b + 1] += local[b];
        // local[b] is the start of bucket b; filled through a cursor that ends where the bucket ends.
        at.assign(local, local + span);
        for (size_t i = part[p]; i < part[p + 1]; i++) {
            const uint64_t item = scratch[i];
            const uint32_t place = at[item >> 32 & 0xffff]++;
            next[place] = static_cast<uint16_t>(item >> 48);
            store_id(ids, id_bytes, place, static_cast<uint32_t>(item));
        }
    }
}

size_t plane_stride(size_t distinct) { return (distinct + 31) / 32 * 32; }

size_t aligned(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

Header plan(Layout layout, size_t count, size_t distinct, bool grouped) {
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

}  // namespace

Row permute(const uint8_t* hash) {
    const Permutation& p = permutation();
    Row out{};
    for (size_t i = 0; i < 32; i++) {
        const Row& high = p.table[2 * i][hash[i] >> 4];
        const Row& low = p.table[2 * i + 1][hash[i] & 15];
        for (size_t k = 0; k < 4; k++) out.w[k] |= high.w[k] | low.w[k];
    }
    return out;
}

Block allocate_block(size_t size) {
    constexpr size_t kHuge = size_t{2} << 20;
    Block b;
    b.size = size;
    b.mapped = (size + kHuge - 1) / kHuge * kHuge;
    void* p = mmap(nullptr, b.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    madvise(p, b.mapped, MADV_HUGEPAGE);
#endif
    b.data = static_cast<uint8_t*>(p);
    return b;
}

void free_block(Block& block) {
    if (block.data) munmap(block.data, block.mapped);
    block = Block{};
}

Block build_index(const uint8_t* hashes, size_t count, int threads, int wanted_layout) {
    if (count >= UINT32_MAX) throw std::invalid_argument("too many hashes for one index: split it");
    auto choose = [&](size_t distinct) {
        return wanted_layout >= 0             ? static_cast<Layout>(wanted_layout)
               : distinct < kScanBelow        ? Layout::scan
               : distinct <= kRadius2Above    ? Layout::mih16
                                              : Layout::mih_r2;
    };
    // Rows are sorted where they will stay: their table comes first whatever the layout. Room for the largest outcome
    // is reserved; memory is taken only where it is touched.
    size_t most = 0;
    for (const size_t distinct : {count, std::min(count, kRadius2Above)})
        most = std::max(most, plan(choose(distinct), count, distinct, true).total);
    Workspace<uint8_t> out(std::max(most, aligned(sizeof(Header)) + count * sizeof(Row) + kPadding));
    auto* rows = reinterpret_cast<Row*>(out.data() + aligned(sizeof(Header)));
    Workspace<uint32_t> origin(count);
    sort_rows(hashes, count, threads, rows, origin.data());
    size_t distinct = 0;
    const std::vector<uint32_t> first = group_equal(rows, count, distinct);
    const Layout layout = choose(distinct);
    const Header h = plan(layout, count, distinct, !first.empty());
    std::memcpy(out.data(), &h, sizeof h);
    if (layout == Layout::scan) {
        const std::vector<Row> sorted(rows, rows + distinct);
        std::memset(static_cast<void*>(rows), 0, count * sizeof(Row));
        auto* planes = reinterpret_cast<uint32_t*>(rows);
        const size_t stride = plane_stride(distinct);
        for (size_t i = 0; i < distinct; i++)
            for (size_t k = 0; k < 8; k++) planes[k * stride + i] = static_cast<uint32_t>(sorted[i].w[k >> 1] >> (k & 1 ? 0 : 32));
    } else {
        std::memset(static_cast<void*>(rows + distinct), 0, (count - distinct) * sizeof(Row));
    }
    if (!first.empty()) std::memcpy(out.data() + h.first.offset, first.data(), first.size() * 4);
    for (size_t i = 0; i < count; i++) store_id(out.data() + h.origin.offset, h.id_bytes, i, origin.data()[i]);
    const Chunks c = chunks_of(layout);
    std::atomic<size_t> next_chunk{0};
    run_threads(usable_threads(threads, distinct * (c.count > 0), 10'000), [&](int) {
        Workspace<uint64_t> scratch(distinct);
        for (size_t i; (i = next_chunk.fetch_add(1)) < c.count;)
            fill_chunk(rows, distinct, c.offset[i], c.bits[i], reinterpret_cast<uint32_t*>(out.data() + h.offsets[i].offset),
                       reinterpret_cast<uint16_t*>(out.data() + h.next[i].offset), i ? out.data() + h.ids[i].offset : nullptr,
                       h.id_bytes, scratch.data());
    });
    return out.release(h.total);
}

// ---------------------------------------------------------------- opening

HammingIndex::HammingIndex(const uint8_t* data, size_t size) : data_(data), size_(size) {
    auto refuse = [](const char* why) { throw std::invalid_argument(why); };
    if (reinterpret_cast<uintptr_t>(data) % kAlign) refuse("buffer is not aligned to 64 bytes");
    if (size < sizeof(Header)) refuse("shorter than its header");
    Header h;
    std::memcpy(&h, data, sizeof h);
    if (h.magic != kMagic) refuse("not a Leadline search index");
    if (h.version != kVersion) refuse("written by another version");
    if (h.checksum != checksum_of(h)) refuse("header checksum differs");
    if (h.layout > 2 || h.count >= UINT32_MAX || h.distinct > h.count || (h.count && !h.distinct)) refuse("impossible counts");
    // Everything else follows from these four numbers: the header must be the one that they give.
    const Header expected = plan(static_cast<Layout>(h.layout), h.count, h.distinct, h.grouped != 0);
    if (std::memcmp(&h, &expected, sizeof h) != 0) refuse("tables are not where they belong");
    if (h.total > size) refuse("truncated");
    if (!h.grouped && h.distinct != h.count) refuse("groups are missing");
    count_ = h.count;
    distinct_ = h.distinct;
    layout_ = static_cast<Layout>(h.layout);
    id_bytes_ = h.id_bytes;
    grouped_ = h.grouped != 0;
    rows_ = reinterpret_cast<const uint64_t*>(data + h.rows.offset);
    first_ = grouped_ ? reinterpret_cast<const uint32_t*>(data + h.first.offset) : nullptr;
    origin_ = data + h.origin.offset;
    const Chunks c = chunks_of(layout_);
    for (size_t i = 0; i < c.count; i++) {
        offsets_[i] = reinterpret_cast<const uint32_t*>(data + h.offsets[i].offset);
        next_[i] = reinterpret_cast<const uint16_t*>(data + h.next[i].offset);
        ids_[i] = i ? data + h.ids[i].offset : nullptr;
        const size_t buckets = size_t{1} << c.bits[i];
        bool rising = offsets_[i][0] == 0 && offsets_[i][buckets] == distinct_;
        for (size_t b = 0; b < buckets; b++) rising &= offsets_[i][b] <= offsets_[i][b + 1];
        if (!rising) refuse("an offset table is damaged");
    }
}

const char* HammingIndex::layout_name() const {
    return layout_ == Layout::scan ? "scan" : layout_ == Layout::mih16 ? "mih16" : "mih-r2";
}

// ---------------------------------------------------------------- searching

namespace {

const Kernels& kernels_for(Isa isa) {
#if defined(LEADLINE_X86)
    if (isa == Isa::avx512) return kSearchAvx512;
    if (isa == Isa::avx2) return kSearchAvx2;
#endif
    (void)isa;
    return kSearchSerial;
}

constexpr size_t kSweepQueries = 16384;  // queries of one block: their numbers fit 16 bits, their state fits L2
constexpr size_t kSweepLeast = 900;      // below, one query after the other is cheaper than visiting every bucket
constexpr size_t kScanTile = 1024;       // rows compared with many queries while they are in L1

// Rough costs in nanoseconds, measured on two x86-64 servers; they choose the cheaper path, never the answer.
constexpr double kProbeNs = 12, kCandidateNs = 0.25, kScanRowNs = 0.9;

// Calls visit(mask, ones) for every mask of `bits` bits with exactly `ones` ones (Gosper's walk).
template <class Visit>
void for_each_mask(uint32_t bits, int ones, Visit visit) {
    if (ones == 0) return visit(0u, 0);
    for (uint32_t mask = (1u << ones) - 1; mask < (1u << bits);) {
        visit(mask, ones);
        const uint32_t low = mask & (0u - mask), carry = mask + low;
        mask = ((carry ^ mask) >> 2) / low | carry;
    }
}

// Every mask of `bits` (<= 24) bits with up to `most` ones, fewest first. Up to two ones come from a table.
template <class Visit>
void for_each_in_ball(uint32_t bits, int most, Visit visit) {
    static const auto small = [] {
        std::array<std::array<std::vector<uint32_t>, 3>, 25> masks;
        for (uint32_t b = 1; b < 25; b++)
            for (int ones = 0; ones < 3; ones++) for_each_mask(b, ones, [&](uint32_t m, int) { masks[b][static_cast<size_t>(ones)].push_back(m); });
        return masks;
    }();
    for (int ones = 0; ones <= std::min(most, 2); ones++)
        for (const uint32_t mask : small[bits][static_cast<size_t>(ones)]) visit(mask, ones);
    for (int ones = 3; ones <= most; ones++) for_each_mask(bits, ones, visit);
}

// How the radius is shared out among the chunks, and what probing them costs on average.
struct Thresholds {
    int of[kMaxChunks];
    double probes = 0;

    Thresholds(const Chunks& chunks, size_t distinct, unsigned radius) {
        std::fill(of, of + kMaxChunks, -1);
        if (chunks.count == 0) return;
        double ball[kMaxChunks];  // buckets that the chunk's next step adds
        std::fill(ball, ball + kMaxChunks, 1.0);
        for (unsigned step = 0; step <= radius; step++) {  // sum(t_i + 1) = radius + 1, each step where it is cheapest
            size_t best = 0;
            double best_cost = 0;
            for (size_t i = 0; i < chunks.count; i++) {
                const double bucket = static_cast<double>(distinct) / static_cast<double>(1u << chunks.bits[i]);
                const double cost = ball[i] * (kProbeNs + bucket * kCandidateNs);
                if (i == 0 || cost < best_cost) best = i, best_cost = cost;
            }
            probes += ball[best];
            of[best]++;
            ball[best] *= static_cast<double>(chunks.bits[best] - static_cast<uint32_t>(of[best])) / (of[best] + 1);
        }
    }
};

}  // namespace

// Buffers that a thread keeps from one search to the next.
struct Scratch {
    std::vector<Hit> hits, page;
    std::vector<uint64_t> survivors = std::vector<uint64_t>(1 << 14);
    std::vector<Probe> probes;
    std::vector<uint32_t> item_starts, packed;
    std::vector<uint16_t> items, visited = std::vector<uint16_t>(65536 + 1);
    std::vector<int64_t> budgets;
};

// Answers blocks of distinct queries with one thread.
struct Searcher {
    const HammingIndex& ix;
    const Kernels& k;
    const unsigned radius;
    const Chunks chunks;
    const Thresholds thresholds;
    const uint64_t* block = nullptr;  // the queries that are being answered
    Scratch& s;
    SurvivorBuffer buffer{};

    Searcher(const HammingIndex& index, const Kernels& kernels, unsigned r, Scratch& scratch)
        : ix(index), k(kernels), radius(r), chunks(chunks_of(index.layout_)), thresholds(chunks, index.distinct_, r), s(scratch) {
        buffer = SurvivorBuffer{s.survivors.data(), 0, s.survivors.size(), [](void* self) { static_cast<Searcher*>(self)->flush(); }, this};
    }

    void flush() {
        if (s.page.size() < buffer.used) s.page.resize(buffer.used);
        const size_t n = k.verify(buffer.data, buffer.used, ix.ids_, ix.id_bytes_, ix.rows_, ix.distinct_, block, radius, s.page.data());
        if (n == SIZE_MAX) throw std::runtime_error("a bucket names a row that does not exist");
        s.hits.insert(s.hits.end(), s.page.begin(), s.page.begin() + static_cast<ptrdiff_t>(n));
        buffer.used = 0;
    }

    // More survivors than this cost more than comparing with every row: hot buckets end here, never in quadratic work.
    int64_t survivor_budget() const { return std::max<int64_t>(4096, static_cast<int64_t>(ix.distinct_ / 16)); }

    double scan_ns() const { return static_cast<double>(ix.distinct_) * kScanRowNs; }

    void answer_block(const uint64_t* queries, size_t count) {
        block = queries;
        s.hits.clear();
        std::vector<uint32_t> left;  // queries that a scan answers more cheaply
        if (chunks.count == 0 || thresholds.probes * kProbeNs > scan_ns()) {
            left.resize(count);
            std::iota(left.begin(), left.end(), 0u);
        } else if (count >= kSweepLeast && ix.layout_ == Layout::mih16 && thresholds.of[0] <= 1) {
            left = sweep_tables(count);
        } else {
            prefetch_offsets(0);
            for (uint32_t q = 0; q < count; q++)
                if (!probe_tables(q, q + 1 < count)) left.push_back(q);
        }
        scan(left);
        std::sort(s.hits.begin(), s.hits.end(), [](const Hit& a, const Hit& b) {
            return a.query != b.query ? a.query < b.query : a.distance != b.distance ? a.distance < b.distance : a.row < b.row;
        });
        s.hits.erase(std::unique(s.hits.begin(), s.hits.end(), [](const Hit& a, const Hit& b) { return a.query == b.query && a.row == b.row; }),
                   s.hits.end());
    }

    // ---- every row against the queries named
    void scan(const std::vector<uint32_t>& numbers) {
        const bool by_planes = ix.layout_ == Layout::scan;
        const auto* planes = reinterpret_cast<const uint32_t*>(ix.rows_);
        const size_t rows = by_planes ? plane_stride(ix.distinct_) : ix.distinct_;
        if (s.page.size() < kScanTile) s.page.resize(kScanTile);
        for (size_t from = 0; from < rows && !numbers.empty(); from += kScanTile) {
            const size_t n = std::min(kScanTile, rows - from);
            for (const uint32_t q : numbers) {
                const uint64_t* query = block + size_t{q} * 4;
                const size_t found = by_planes ? k.scan_planes(planes, rows, from, n, query, radius, q, s.page.data())
                                               : k.scan_rows(ix.rows_, from, n, query, radius, q, s.page.data());
                for (size_t i = 0; i < found; i++)
                    if (s.page[i].row < ix.distinct_) s.hits.push_back(s.page[i]);  // planes end in zero rows
            }
        }
    }

    int next_limit(size_t chunk) const { return thresholds.of[chunk] + thresholds.of[(chunk + 1) % chunks.count] + 1; }

    uint32_t value(const uint64_t* query, size_t chunk) const { return ring_bits(query, chunks.offset[chunk], chunks.bits[chunk]); }

    uint16_t next_value(const uint64_t* query, size_t chunk) const {
        return static_cast<uint16_t>(ring_bits(query, (chunks.offset[chunk] + chunks.bits[chunk]) & 255, 16));
    }

    void prefetch_offsets(uint32_t q) const {
        const uint64_t* query = block + size_t{q} * 4;
        for (size_t i = 0; i < chunks.count; i++)
            for_each_in_ball(chunks.bits[i], thresholds.of[i],
                             [&, own = value(query, i)](uint32_t mask, int) { LEADLINE_FETCH_AHEAD(ix.offsets_[i] + (own ^ mask)); });
    }

    // ---- one query through the tables, the next one's offsets fetched meanwhile; false where the scan is cheaper
    bool probe_tables(uint32_t q, bool another) {
        const uint64_t* query = block + size_t{q} * 4;
        uint16_t query_next[kMaxChunks] = {};
        s.probes.clear();
        double candidates = 0;
        for (size_t i = 0; i < chunks.count; i++) {
            query_next[i] = next_value(query, i);
            for_each_in_ball(chunks.bits[i], thresholds.of[i], [&, own = value(query, i), limit = next_limit(i)](uint32_t mask, int ones) {
                const uint32_t begin = ix.offsets_[i][own ^ mask], end = ix.offsets_[i][(own ^ mask) + 1];
                if (begin == end) return;
                candidates += end - begin;
                s.probes.push_back(Probe{begin, end, static_cast<uint16_t>(i), static_cast<int16_t>(limit - ones)});
            });
        }
        if (candidates * kCandidateNs + static_cast<double>(s.probes.size()) * kProbeNs > scan_ns()) return false;
        if (another) prefetch_offsets(q + 1);
        int64_t budget = survivor_budget();
        k.stream(q, s.probes.data(), s.probes.size(), ix.next_, query_next, budget, buffer);
        flush();
        return budget >= 0;
    }

    // ---- many queries: each chunk's table is walked once, bucket after bucket, with the queries sorted by bucket.
    // Memory is then read in order instead of at random, which is what bounds the one-by-one path.
    std::vector<uint32_t> sweep_tables(size_t count) {
        s.budgets.assign(count, survivor_budget());
        s.packed.resize(count);
        s.item_starts.resize(65538);
        for (uint32_t i = 0; i < chunks.count; i++) {
            if (thresholds.of[i] < 0) continue;
            for (size_t q = 0; q < count; q++)
                s.packed[q] = value(block + q * 4, i) | static_cast<uint32_t>(next_value(block + q * 4, i)) << 16;
            sort_items(count, thresholds.of[i]);
            k.sweep(SweepArgs{ix.offsets_[i], ix.next_[i], s.item_starts.data(), s.items.data(), s.packed.data(), s.budgets.data(), s.visited.data(), i, next_limit(i)},
                    buffer);
        }
        flush();
        std::vector<uint32_t> left;
        for (uint32_t q = 0; q < count; q++)
            if (s.budgets[q] < 0) left.push_back(q);
        return left;
    }

    // Counting sort of (query, bucket of its ball) by bucket.
    void sort_items(size_t count, int threshold) {
        std::fill(s.item_starts.begin(), s.item_starts.end(), 0u);
        uint32_t* starts = s.item_starts.data() + 1;  // shifted by one: filling moves each start to its end
        for (size_t q = 0; q < count; q++) {
            const uint32_t own = s.packed[q] & 0xffff;
            starts[own + 1]++;
            for (uint32_t bit = 0; bit < 16 && threshold == 1; bit++) starts[(own ^ 1u << bit) + 1]++;
        }
        uint32_t sum = 0;
        for (size_t b = 0; b <= 65536; b++) starts[b] = sum += starts[b];
        s.items.resize(sum);
        for (size_t q = 0; q < count; q++) {
            const uint32_t own = s.packed[q] & 0xffff;
            s.items[starts[own]++] = static_cast<uint16_t>(q);
            for (uint32_t bit = 0; bit < 16 && threshold == 1; bit++) s.items[starts[own ^ 1u << bit]++] = static_cast<uint16_t>(q);
        }
    }
};

namespace {

// Positions of the rows that were hit, nearest first; `dead` ones left out, at most `limit` of them.
class Expander {
  public:
    Expander(const uint32_t* first, const uint8_t* origin, uint32_t id_bytes, size_t count, const uint8_t* dead, size_t dead_bytes, int64_t limit)
        : first_(first), origin_(origin), id_bytes_(id_bytes), count_(count), dead_(dead), dead_bits_(dead_bytes * 8), limit_(limit) {}

    // Returns true where the limit cut the list.
    bool expand(const Hit* begin, const Hit* end, std::vector<uint32_t>& positions, std::vector<uint16_t>& distances) {
        found_.clear();
        bool cut = false;
        for (const Hit* hit = begin; hit < end && !cut; hit++) {
            const size_t from = first_ ? first_[hit->row] : hit->row, to = first_ ? first_[hit->row + 1] : hit->row + 1;
            if (from > to || to > count_) throw std::runtime_error("a group reaches outside its table");
            for (size_t place = from; place < to && !cut; place++) {
                uint32_t position = 0;
                std::memcpy(&position, origin_ + place * id_bytes_, id_bytes_);
                if (position >= count_) throw std::runtime_error("a row names a position that does not exist");
                if (position < dead_bits_ && (dead_[position >> 3] >> (position & 7) & 1)) continue;
                cut = limit_ > 0 && found_.size() == static_cast<size_t>(limit_);
                if (!cut) found_.emplace_back(static_cast<uint16_t>(hit->distance), position);
            }
        }
        std::sort(found_.begin(), found_.end());
        for (const auto& [distance, position] : found_) {
            distances.push_back(distance);
            positions.push_back(position);
        }
        return cut;
    }

  private:
    const uint32_t* first_;
    const uint8_t* origin_;
    const uint32_t id_bytes_;
    const size_t count_;
    const uint8_t* dead_;
    const size_t dead_bits_;
    const int64_t limit_;
    std::vector<std::pair<uint16_t, uint32_t>> found_;
};

struct Part {  // what one thread answered
    std::vector<size_t> starts{0};
    std::vector<uint32_t> positions;
    std::vector<uint16_t> distances;
    std::vector<uint8_t> truncated;
};

}  // namespace

SearchOutput HammingIndex::search(const uint8_t* raw, size_t query_count, int radius, const uint8_t* dead, size_t dead_bytes,
                                  int64_t limit, int threads, Isa isa) const {
    const unsigned r = static_cast<unsigned>(std::clamp(radius, 0, 256));
    const Kernels& kernels = kernels_for(isa);
    std::vector<Row> permuted(query_count);
    for (size_t q = 0; q < query_count; q++) permuted[q] = permute(raw + q * 32);
    // Equal queries are answered once: a disk may hold the same picture a million times.
    std::vector<uint32_t> order(query_count), answer_of(query_count);
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
        return permuted[a].w[0] != permuted[b].w[0] ? permuted[a].w[0] < permuted[b].w[0]
                                                    : std::memcmp(permuted[a].w + 1, permuted[b].w + 1, 24) < 0;
    });
    std::vector<Row> distinct;
    distinct.reserve(query_count);
    for (const uint32_t q : order) {
        if (distinct.empty() || !same(distinct.back(), permuted[q])) distinct.push_back(permuted[q]);
        answer_of[q] = static_cast<uint32_t>(distinct.size() - 1);
    }
    const int t_count = usable_threads(threads, distinct.size(), 64);
    std::vector<Part> parts(static_cast<size_t>(t_count));
    std::vector<size_t> part_from(static_cast<size_t>(t_count) + 1);
    for (int t = 0; t <= t_count; t++) part_from[static_cast<size_t>(t)] = distinct.size() * static_cast<size_t>(t) / static_cast<size_t>(t_count);
    run_threads(t_count, [&](int t) {
        static thread_local Scratch scratch;
        Searcher searcher(*this, kernels, r, scratch);
        Expander expander(first_, origin_, id_bytes_, count_, dead, dead_bytes, limit);
        Part& part = parts[static_cast<size_t>(t)];
        const size_t end = part_from[static_cast<size_t>(t) + 1];
        for (size_t from = part_from[static_cast<size_t>(t)]; from < end; from += kSweepQueries) {
            const size_t n = std::min(kSweepQueries, end - from);
            searcher.answer_block(distinct[from].w, n);
            const Hit *hit = scratch.hits.data(), *last = hit + scratch.hits.size();
            for (uint32_t q = 0; q < n; q++) {
                const Hit* begin = hit;
                while (hit < last && hit->query == q) hit++;
                part.truncated.push_back(expander.expand(begin, hit, part.positions, part.distances));
                part.starts.push_back(part.positions.size());
            }
        }
    });
    SearchOutput out;
    out.starts.reserve(query_count + 1);
    out.starts.push_back(0);
    out.truncated.reserve(query_count);
    for (size_t q = 0; q < query_count; q++) {
        const size_t answer = answer_of[q];
        const size_t t = static_cast<size_t>(std::upper_bound(part_from.begin(), part_from.end() - 1, answer) - part_from.begin()) - 1;
        const Part& part = parts[t];
        const size_t from = part.starts[answer - part_from[t]], to = part.starts[answer - part_from[t] + 1];
        out.positions.insert(out.positions.end(), part.positions.begin() + static_cast<ptrdiff_t>(from), part.positions.begin() + static_cast<ptrdiff_t>(to));
        out.distances.insert(out.distances.end(), part.distances.begin() + static_cast<ptrdiff_t>(from), part.distances.begin() + static_cast<ptrdiff_t>(to));
        out.truncated.push_back(part.truncated[answer - part_from[t]]);
        out.starts.push_back(static_cast<int64_t>(out.positions.size()));
    }
    return out;
}

}  // namespace leadline
