// Content-defined chunking by Rabin fingerprint, cut for cut as restic makes it.
//
// A cut falls after byte n when the fingerprint of the last 64 bytes has its low 20 bits zero and
// the chunk is at least 512 KiB; at 8 MiB it is forced; the end of the file ends the last chunk.
// From the first testable position on the fingerprint depends on the preceding 64 bytes alone, so
// that blocks can be scanned in any order and in parallel lanes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/bytes.h"

namespace sevenfold::repository {

inline constexpr size_t kChunkMin = 512 << 10;
inline constexpr size_t kChunkMax = 8 << 20;
inline constexpr size_t kChunkWindow = 64;

// A polynomial over GF(2): bit i is the coefficient of x^i.
using Polynomial = uint64_t;
int degree(Polynomial p);           // -1 for zero
bool is_irreducible(Polynomial p);  // Ben-Or's test
Polynomial random_polynomial();     // irreducible, degree 53
// Hexadecimal without prefix and leading zeros. Throws Error{corrupt} unless it is an irreducible
// polynomial of degree 53.
Polynomial parse_polynomial(std::string_view hex);

// How blocks are scanned; all give the same cuts. scalar and ssse3 run everywhere.
enum class ChunkerPath { scalar, ssse3, avx2 };
ChunkerPath best_chunker_path();

// The tables for one polynomial. Immutable: one object serves all threads.
class ChunkerTables {
  public:
    explicit ChunkerTables(Polynomial polynomial);
    ~ChunkerTables();
    Polynomial polynomial() const;

    // The smallest n in [from, data.size()) such that the window of 64 bytes ending with byte n
    // (inclusive) has its low 20 bits zero; nothing when there is none. from >= 63.
    std::optional<size_t> find_cut(ByteView data, size_t from, ChunkerPath path) const;
    // Fingerprint of exactly 64 bytes; for tests.
    uint64_t fingerprint(ByteView window) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Cuts one file. The caller keeps a growing buffer that starts where the current chunk starts:
//
//     Chunker chunker(tables);
//     while (more) { append to buffer; while (auto n = chunker.next(buffer)) { take n bytes; } }
//     if (!buffer.empty()) the rest is the last chunk;
//
class Chunker {
  public:
    explicit Chunker(const ChunkerTables& tables, ChunkerPath path = best_chunker_path());

    // `data` holds the current chunk from its first byte as far as it has been read; between calls
    // that return nothing it only grows. Returns the length of the chunk once its cut is known (the
    // caller then drops that many bytes from the front and calls again), nothing when more data is
    // needed. Only new bytes are scanned.
    std::optional<size_t> next(ByteView data);

  private:
    const ChunkerTables& tables_;
    ChunkerPath path_;
    size_t scanned_ = 0;  // bytes of the current chunk known to hold no cut
};

}  // namespace sevenfold::repository
