// PDQ's inner loops, written once over vectors of kLanes floats (the compiler's vector types, lowered to whatever the
// file's flags allow). Included once per instruction set inside that file's own namespace, after it defined kLanes.

typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));
typedef double Doubles __attribute__((vector_size(kLanes * 4)));  // half as many
constexpr size_t kHalf = kLanes / 2;
typedef int32_t HalfInts __attribute__((vector_size(kHalf * 4)));

template <class V, class T>
static inline V load(const T* p) {
    V v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
template <class V, class T>
static inline void store(T* p, V v) {
    __builtin_memcpy(p, &v, sizeof v);
}

// ---- the estimate ---------------------------------------------------------------------------------------------------

static void band_wide(const BandArgs& a) {
    for (size_t x = 0; x < a.width; x++) a.out[x] = 0;
    for (size_t r = 0; r < a.count; r++) {
        const uint8_t* row = a.rows + static_cast<ptrdiff_t>(r) * a.stride;
        const uint32_t weight = a.weights[r];
        for (size_t x = 0; x < a.width; x++) a.out[x] += weight * row[x];
    }
}

static void columns(const Span* spans, const uint32_t* sums, double* out) {
    for (size_t j = 0; j < 64; j++) {
        const double* weights = spans[j].weights;
        const uint32_t* values = sums + spans[j].first;
        Doubles total[2] = {};
        size_t k = 0;
        for (; k + 2 * kHalf <= spans[j].count; k += 2 * kHalf)
            for (size_t h = 0; h < 2; h++)  // sums are below 2^31: signed conversion exists everywhere
                total[h] += load<Doubles>(weights + k + h * kHalf) *
                            __builtin_convertvector(load<HalfInts>(values + k + h * kHalf), Doubles);
        double sum = 0;
        for (; k < spans[j].count; k++) sum += weights[k] * static_cast<double>(static_cast<int32_t>(values[k]));
        total[0] += total[1];
        for (size_t l = 0; l < kHalf; l++) sum += total[0][l];
        out[j] = sum;
    }
}

// One step of a product: add value * weight, and the squares of the two results the reference rounds here.
static inline void accumulate(Doubles weight, Doubles value, Doubles& sum, Doubles& squares) {
    const Doubles product = weight * value;
    sum += product;
    squares += product * product + sum * sum;
}

static void transform(const double* samples, const float* dct, double* coefficients, double* squares) {
    double half[64], half_squares[64], turned[64 * 16];
    for (size_t k = 0; k < 64; k++)
        for (size_t j = 0; j < 16; j++) turned[k * 16 + j] = static_cast<double>(dct[j * 64 + k]);
    for (size_t i = 0; i < 16; i++) {
        for (size_t j = 0; j < 64; j += 2 * kHalf) {
            Doubles sum[2] = {}, square[2] = {};
            for (size_t k = 0; k < 64; k++) {
                const Doubles weight = Doubles{} + static_cast<double>(dct[i * 64 + k]);
                for (size_t h = 0; h < 2; h++)
                    accumulate(weight, load<Doubles>(samples + k * 64 + j + h * kHalf), sum[h], square[h]);
            }
            for (size_t h = 0; h < 2; h++) {
                store(half + j + h * kHalf, sum[h]);
                store(half_squares + j + h * kHalf, square[h]);
            }
        }
        for (size_t j = 0; j < 16; j += kHalf) {
            Doubles sum = {}, square = {}, carried = {};
            for (size_t k = 0; k < 64; k++) {
                const Doubles weight = load<Doubles>(turned + k * 16 + j);
                accumulate(weight, Doubles{} + half[k], sum, square);
                carried += weight * weight * half_squares[k];
            }
            store(coefficients + i * 16 + j, sum);
            store(squares + i * 16 + j, square + carried);
        }
    }
}

// ---- the replay -----------------------------------------------------------------------------------------------------

// pdqhash sums 0.299 R + 0.587 G + 0.114 B in double and rounds to float. That is the float nearest to
// (299 R + 587 G + 114 B) / 1000 for all 2^24 colours: no multiple of 1/1000 up to 255 lies within 7e-9 of a place
// where rounding turns, unless it is a float itself, and the double sum is off by less than 1e-13. An IEEE division of
// two exact floats gives just that.
static void luma_row(const uint8_t* pixels, size_t width, size_t channels, float* out) {
    if (channels == 1) {
        for (size_t x = 0; x < width; x++) out[x] = static_cast<float>(pixels[x]);
        return;
    }
    for (size_t x = 0; x < width; x++) {
        const int32_t thousandths = 299 * pixels[3 * x] + 587 * pixels[3 * x + 1] + 114 * pixels[3 * x + 2];
        out[x] = static_cast<float>(thousandths) / 1000.0f;
    }
}

// rows[i][k] <-> rows[k][i], by swapping ever larger blocks: places >= kLanes of a shuffle name its second vector.
template <size_t kStep, size_t... kPlace>
static inline void swap_blocks(Floats* rows, std::index_sequence<kPlace...>) {
    for (size_t i = 0; i < kLanes; i++) {
        if (i & kStep) continue;
        const Floats a = rows[i], b = rows[i + kStep];
#if defined(__clang__)
        rows[i] = __builtin_shufflevector(a, b, ((kPlace & kStep) ? kLanes + (kPlace ^ kStep) : kPlace)...);
        rows[i + kStep] = __builtin_shufflevector(a, b, ((kPlace & kStep) ? kLanes + kPlace : (kPlace ^ kStep))...);
#else
        rows[i] = __builtin_shuffle(a, b, Ints{((kPlace & kStep) ? kLanes + (kPlace ^ kStep) : kPlace)...});
        rows[i + kStep] = __builtin_shuffle(a, b, Ints{((kPlace & kStep) ? kLanes + kPlace : (kPlace ^ kStep))...});
#endif
    }
}

static inline void transpose(Floats* rows) {
    constexpr auto places = std::make_index_sequence<kLanes>{};
    swap_blocks<1>(rows, places);
    swap_blocks<2>(rows, places);
    if constexpr (kLanes > 4) swap_blocks<4>(rows, places);
    if constexpr (kLanes > 8) swap_blocks<8>(rows, places);
}

static inline size_t power_of_two_from(size_t n) {
    size_t power = 1;
    while (power < n) power *= 2;
    return power;
}

// Where the replay keeps what it needs: never the whole picture, only the rows inside a window and two blocks.
// Rows have room for kLanes floats before their first and after their last place.
struct Scratch {
    size_t pitch;           // floats from row to row
    size_t ring_rows;       // rows of a column window and one block
    size_t turned_columns;  // of a row window and one block, a power of two; the first kLanes are repeated at the end
    float *luma, *ring, *smoothed, *turned, *column_sums, *picked, *picked_sums;
    size_t size;
    Scratch(const FilterArgs& a, float* base) {
        pitch = (a.width / kLanes + 3) * kLanes;
        ring_rows = box_of(a.height).window + kLanes;
        turned_columns = power_of_two_from(box_of(a.width).window + kLanes);
        size = 0;
        const auto take = [&](size_t floats, size_t before) {
            const size_t at = size + before;
            size += floats;
            return base ? base + at : nullptr;
        };
        luma = take(kLanes * pitch, kLanes);
        ring = take(ring_rows * pitch, kLanes);
        smoothed = take(kLanes * pitch, kLanes);
        column_sums = take(pitch, kLanes);
        turned = take((turned_columns + kLanes) * kLanes, 0);
        picked = take(ring_rows * 64, 0);
        picked_sums = take(64, 0);
    }
};

static size_t filter_scratch(const FilterArgs& args) { return Scratch(args, nullptr).size; }

// One box filter along kLanes rows at once (lane = row): the running sum adds what enters, then subtracts what leaves,
// then is to be divided by the number of values in it, as pdqhash does value by value. `in`: the rows, a pitch apart;
// write(place, sums, counts) is called for kLanes places at a time, in order; the first and last may reach past the row.
template <class Write>
static inline void box_along_rows(const float* in, const Scratch& s, size_t length, Write write) {
    const Box box = box_of(length);
    const size_t mask = s.turned_columns - 1;
    Floats sum = {}, count = {}, sums[kLanes], counts[kLanes];
    for (size_t c = 0; c < length + box.ahead; c += kLanes) {
        float* entering = s.turned + (c & mask) * kLanes;
        const float* leaving = s.turned + ((c - box.window) & mask) * kLanes;  // only read once c reaches the window
        if (c < length) {
            Floats tile[kLanes];
            for (size_t l = 0; l < kLanes; l++) tile[l] = load<Floats>(in + l * s.pitch + c);
            transpose(tile);
            __builtin_memcpy(entering, tile, sizeof tile);
            if (entering == s.turned) __builtin_memcpy(s.turned + s.turned_columns * kLanes, tile, sizeof tile);
        }
        if (c >= box.window && c + kLanes <= length) {
            for (size_t l = 0; l < kLanes; l++) {
                sum += load<Floats>(entering + l * kLanes);
                sum -= load<Floats>(leaving + l * kLanes);
                sums[l] = sum, counts[l] = count;
            }
        } else {
            for (size_t l = 0; l < kLanes; l++) {
                if (c + l < length) sum += load<Floats>(entering + l * kLanes), count += 1.0f;
                if (c + l >= box.window) sum -= load<Floats>(leaving + l * kLanes), count -= 1.0f;
                sums[l] = sum, counts[l] = count;
            }
        }
        if (c + kLanes > box.ahead) write(static_cast<ptrdiff_t>(c) - static_cast<ptrdiff_t>(box.ahead), sums, counts);
    }
}

// The same down `width` columns, one row a step, over a ring of rows.
struct ColumnBox {
    const float* ring;
    float* sums;
    size_t ring_rows, pitch, width, height;
    Box box = box_of(height);
    size_t taken = 0;

    bool done() const { return taken == height + box.ahead; }
    // Takes in the next row (or none, past the last one). Returns whether `out` now holds the next row.
    bool step(float* out) {
        const size_t r = taken++, gone = r < box.window ? 0 : r - box.window;
        const bool enters = r < height, leaves = r >= box.window;
        const float *entering = ring + r % ring_rows * pitch, *leaving = ring + gone % ring_rows * pitch;
        const size_t inside = (enters ? r + 1 : height) - (leaves ? gone + 1 : 0);
        const Floats count = Floats{} + static_cast<float>(inside);
        for (size_t x = 0; x < width; x += kLanes) {
            Floats sum = load<Floats>(sums + x);
            if (enters) sum += load<Floats>(entering + x);
            if (leaves) sum -= load<Floats>(leaving + x);
            store(sums + x, sum);
            store(out + x, sum / count);
        }
        return r >= box.ahead;
    }
};

// Box along the rows of one block of luma, into the ring.
static inline void first_pass(const FilterArgs& a, const Scratch& s, size_t row, size_t rows) {
    float* out[kLanes];
    for (size_t l = 0; l < rows; l++) {
        luma_row(a.pixels + static_cast<ptrdiff_t>(row + l) * a.stride, a.width, a.channels, s.luma + l * s.pitch);
        out[l] = s.ring + (row + l) % s.ring_rows * s.pitch;
    }
    box_along_rows(s.luma, s, a.width, [&](ptrdiff_t place, Floats* sums, const Floats* counts) {
        for (size_t l = 0; l < kLanes; l++) sums[l] /= counts[l];
        transpose(sums);
        for (size_t l = 0; l < rows; l++) store(out[l] + place, sums[l]);
    });
}

// Box along the rows again, kept at the sampled columns only.
static inline void second_pass(const FilterArgs& a, const Scratch& s, size_t row, size_t rows) {
    size_t next = 0;
    box_along_rows(s.smoothed, s, a.width, [&](ptrdiff_t place, const Floats* sums, const Floats* counts) {
        const size_t end = static_cast<size_t>(place + static_cast<ptrdiff_t>(kLanes));
        for (; next < 64 && a.sampled_columns[next] < end; next++) {
            const size_t k = a.sampled_columns[next] - static_cast<size_t>(place);
            const Floats column = sums[k] / counts[k];
            for (size_t l = 0; l < rows; l++) s.picked[(row + l) % s.ring_rows * 64 + next] = column[l];
        }
    });
}

// Rows along, columns down, rows along, columns down; each stage as soon as the one before has made enough for it.
static void filter(const FilterArgs& a) {
    const Scratch s(a, a.scratch);
    for (size_t k = 0; k < s.size; k++) a.scratch[k] = 0;
    ColumnBox all{s.ring, s.column_sums, s.ring_rows, s.pitch, a.width, a.height};
    ColumnBox picked{s.picked, s.picked_sums, s.ring_rows, 64, 64, a.height};
    size_t waiting = 0, finished = 0, next = 0;
    float row_of_samples[64];

    const auto step_picked = [&] {
        const size_t row = picked.taken - picked.box.ahead;
        if (!picked.step(row_of_samples)) return;
        for (; next < 64 && a.sampled_rows[next] == row; next++)
            __builtin_memcpy(a.samples + next * 64, row_of_samples, sizeof row_of_samples);
    };
    const auto finish_block = [&] {
        second_pass(a, s, finished, waiting);
        for (finished += waiting; waiting; waiting--) step_picked();
    };
    const auto step_all = [&] {
        waiting += all.step(s.smoothed + waiting * s.pitch);
        if (waiting == kLanes) finish_block();
    };
    for (size_t row = 0; row < a.height; row += kLanes) {
        const size_t rows = a.height - row < kLanes ? a.height - row : kLanes;
        first_pass(a, s, row, rows);
        for (size_t l = 0; l < rows; l++) step_all();
    }
    while (!all.done()) step_all();
    finish_block();
    while (!picked.done()) step_picked();
}

// The reference's DCT: each sum runs over k = 0..63 in order, products and sums rounded one by one.
static void transform_exact(const float* samples, const float* dct, float* coefficients) {
    float half[64], turned[64 * 16];
    for (size_t k = 0; k < 64; k++)
        for (size_t j = 0; j < 16; j++) turned[k * 16 + j] = dct[j * 64 + k];
    for (size_t i = 0; i < 16; i++) {
        for (size_t j = 0; j < 64; j += kLanes) {
            Floats sum = {};
            for (size_t k = 0; k < 64; k++) sum += dct[i * 64 + k] * load<Floats>(samples + k * 64 + j);
            store(half + j, sum);
        }
        for (size_t j = 0; j < 16; j += kLanes) {
            Floats sum = {};
            for (size_t k = 0; k < 64; k++) sum += half[k] * load<Floats>(turned + k * 16 + j);
            store(coefficients + i * 16 + j, sum);
        }
    }
}
