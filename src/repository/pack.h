// Pack files (format A.3): envelopes of blobs, an encrypted header that lists them, its length.
#pragma once

#include <vector>

#include "core/bytes.h"
#include "crypto/cipher.h"
#include "crypto/sha256.h"
#include "repository/blob.h"

namespace sevenfold::repository {

inline constexpr size_t kPackTarget = 16 << 20;
inline constexpr size_t kMaxHeader = 16 << 20;
inline constexpr size_t kHeaderEntryRaw = 37;
inline constexpr size_t kHeaderEntryCompressed = 41;

// The plaintext of a header; and back. Throws Error{corrupt} (unknown type, truncated, sums too
// large).
Bytes encode_pack_header(std::span<const PackedBlob> blobs);
std::vector<PackedBlob> decode_pack_header(ByteView plaintext);

// Size of a pack file that holds these blobs.
uint64_t pack_file_size(std::span<const PackedBlob> blobs);

// Reads the list of blobs from a whole pack file, or from its last bytes: `tail` holds the end of a
// file of `file_size` bytes. When tail is too short, throws nothing and returns the number of bytes
// needed.
struct HeaderResult {
    std::vector<PackedBlob> blobs;
    size_t bytes_needed = 0;  // 0: complete
};
// Throws Error{corrupt} when the header does not verify or does not add up to file_size.
HeaderResult read_pack_header(ByteView tail, uint64_t file_size, crypto::Cipher& cipher);

// A pack under construction in memory. One thread at a time.
class PackBuilder {
  public:
    explicit PackBuilder(BlobType type) : type_(type) {}

    // Seals `stored` (raw plaintext, or one zstd frame when uncompressed_length is not 0) into the
    // pack and verifies the envelope against it. Throws Error{internal} if the verification fails.
    void add(crypto::Cipher& cipher, const Id& id, ByteView stored, uint32_t uncompressed_length);
    // True when the blobs of both fit one pack of `target` bytes and one header.
    bool fits(const PackBuilder& other, size_t target) const;
    // Moves the blobs of another pack of the same type and key to the end of this one, as they are.
    void absorb(const PackBuilder& other);

    // What of the buffer is not hashed yet, for hashing beside other messages; then mark_hashed().
    ByteView unhashed() const { return ByteView(buffer_).subspan(hashed_); }
    crypto::Sha256& hash() { return hash_; }
    void mark_hashed() { hashed_ = buffer_.size(); }

    BlobType type() const { return type_; }
    bool empty() const { return blobs_.empty(); }
    size_t size() const { return buffer_.size(); }
    bool full(size_t target) const;

    struct Finished {
        Id id;
        Bytes file;
        std::vector<PackedBlob> blobs;
    };
    // Appends and verifies the header; the builder is empty afterwards and uses `recycled` as its
    // next buffer.
    Finished finish(crypto::Cipher& cipher, Bytes recycled = {});

  private:
    BlobType type_;
    Bytes buffer_;
    std::vector<PackedBlob> blobs_;
    crypto::Sha256 hash_;
    size_t hashed_ = 0;
};

}  // namespace sevenfold::repository
