// The product with a band of rows, streaming: a block of columns at a time (its sums stay in the nearest cache), eight
// rows a step in the order in which they lie in memory. Walking down narrow columns with the sums in registers was
// twice as slow on 12 megapixels. Included inside an instruction set's namespace, after it defined
//   kGroup                                  columns that four rows' products fill
//   Bytes, weights_of(four weights)         those weights, repeated for every column
//   add_four_rows(rows, x, weights, sums)   adds kGroup columns of four rows, in an order of its own
//   put_in_order(sums)                      puts kGroup sums into the order of the columns

constexpr size_t kBlock = 4096;          // columns: 16 KiB of sums
constexpr size_t kMostBandWeight = 64;   // two products of 255 * 64 still fit a signed 16-bit sum

// Rows r .. r + 3 of a band; past its end the last row again, with weight 0.
struct FourRows {
    const uint8_t* rows[4];
    Bytes weights;
    FourRows(const BandArgs& a, size_t r) {
        uint16_t w[4];
        for (size_t k = 0; k < 4; k++) {
            const bool inside = r + k < a.count;
            rows[k] = a.rows + static_cast<ptrdiff_t>(inside ? r + k : a.count - 1) * a.stride;
            w[k] = inside ? a.weights[r + k] : 0;
        }
        weights = weights_of(w);
    }
};

static void band(const BandArgs& a) {
    const size_t whole = a.width / kGroup * kGroup;
    for (size_t begin = 0; begin < whole; begin += kBlock) {
        const size_t end = whole - begin < kBlock ? whole : begin + kBlock;
        for (size_t x = begin; x < end; x++) a.out[x] = 0;
        for (size_t r = 0; r < a.count; r += 8) {
            const FourRows upper(a, r), lower(a, r + 4);
            for (size_t x = begin; x < end; x += kGroup) {
                add_four_rows(upper.rows, x, upper.weights, a.out + x);
                add_four_rows(lower.rows, x, lower.weights, a.out + x);
            }
        }
        for (size_t x = begin; x < end; x += kGroup) put_in_order(a.out + x);
    }
    band_wide({a.rows + whole, a.stride, a.weights, a.count, a.width - whole, a.out + whole});
}
