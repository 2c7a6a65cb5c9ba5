#include "repository/pack.h"

#include <fmt/format.h>

#include "core/check.h"
#include "core/cursor.h"
#include "core/error.h"

namespace sevenfold::repository {
namespace {

enum : uint8_t { kRawData = 0, kRawTree = 1, kCompressedData = 2, kCompressedTree = 3 };

size_t entry_size(const PackedBlob& blob) {
    return blob.compressed() ? kHeaderEntryCompressed : kHeaderEntryRaw;
}

uint8_t entry_type(const PackedBlob& blob) {
    bool tree = blob.handle.type == BlobType::tree;
    if (blob.compressed()) return tree ? kCompressedTree : kCompressedData;
    return tree ? kRawTree : kRawData;
}

Error corrupt(const std::string& why) { return Error(ErrorKind::corrupt, "pack header: " + why); }

void append_le32(Bytes& out, uint32_t v) {
    out.resize(out.size() + 4);
    put_le32(out.data() + out.size() - 4, v);
}

}  // namespace

Bytes encode_pack_header(std::span<const PackedBlob> blobs) {
    Bytes out;
    out.reserve(blobs.size() * kHeaderEntryCompressed);
    for (const PackedBlob& blob : blobs) {
        out.push_back(entry_type(blob));
        append_le32(out, blob.length);
        if (blob.compressed()) append_le32(out, blob.uncompressed_length);
        append(out, blob.handle.id.view());
    }
    return out;
}

std::vector<PackedBlob> decode_pack_header(ByteView plaintext) {
    if (plaintext.size() > kMaxHeader) throw corrupt("too long");
    std::vector<PackedBlob> blobs;
    blobs.reserve(plaintext.size() / kHeaderEntryRaw);
    uint64_t offset = 0;
    for (Cursor in(plaintext, "pack header"); !in.done();) {
        uint8_t type = in.u8();
        if (type > kCompressedTree) throw corrupt(fmt::format("unknown blob type {}", type));
        PackedBlob blob;
        blob.handle.type =
            type == kRawTree || type == kCompressedTree ? BlobType::tree : BlobType::data;
        blob.length = in.le32();
        if (type >= kCompressedData) {
            blob.uncompressed_length = in.le32();
            if (blob.uncompressed_length == 0) throw corrupt("compressed blob of length zero");
        }
        std::memcpy(blob.handle.id.bytes.data(), in.take(Id::kSize).data(), Id::kSize);
        if (blob.length < crypto::kEnvelopeOverhead)
            throw corrupt("blob shorter than its envelope");
        blob.offset = static_cast<uint32_t>(offset);
        offset += blob.length;
        if (offset > UINT32_MAX) throw corrupt("blobs add up to more than 4 GiB");
        blobs.push_back(blob);
    }
    return blobs;
}

uint64_t pack_file_size(std::span<const PackedBlob> blobs) {
    uint64_t size = crypto::kEnvelopeOverhead + 4;
    for (const PackedBlob& blob : blobs) size += blob.length + entry_size(blob);
    return size;
}

HeaderResult read_pack_header(ByteView tail, uint64_t file_size, crypto::Cipher& cipher) {
    if (file_size < 4 + crypto::kEnvelopeOverhead) throw corrupt("file too short to be a pack");
    if (tail.size() < 4) return {{}, 4 + crypto::kEnvelopeOverhead};
    uint64_t length = get_le32(tail.data() + tail.size() - 4);
    if (length < crypto::kEnvelopeOverhead || length > kMaxHeader || length + 4 > file_size)
        throw corrupt(fmt::format("impossible header length {}", length));
    if (tail.size() < length + 4) return {{}, static_cast<size_t>(length + 4)};
    Bytes plaintext;
    if (!cipher.open(tail.subspan(tail.size() - 4 - length, length), plaintext))
        throw corrupt("ciphertext verification failed");
    HeaderResult result{decode_pack_header(plaintext), 0};
    if (pack_file_size(result.blobs) != file_size)
        throw corrupt(fmt::format("blobs add up to a file of {} bytes, but it has {}",
                                  pack_file_size(result.blobs), file_size));
    return result;
}

void PackBuilder::add(crypto::Cipher& cipher, const Id& id, ByteView stored,
                      uint32_t uncompressed_length) {
    size_t offset = buffer_.size(), length = stored.size() + crypto::kEnvelopeOverhead;
    CHECK(offset + length <= UINT32_MAX);
    if (buffer_.capacity() < offset + length)
        buffer_.reserve(std::max(offset + length + (64 << 10), 2 * buffer_.capacity()));
    buffer_.resize(offset + length);
    cipher.seal(stored, buffer_.data() + offset);
    if (!cipher.verifies_as(ByteView(buffer_).subspan(offset, length), stored)) {
        buffer_.resize(offset);
        throw Error(
            ErrorKind::internal,
            fmt::format("blob {}: what was encrypted does not decrypt to the same bytes", id.hex()),
            "This machine's memory or processor may be faulty; nothing wrong was stored.");
    }
    blobs_.push_back({{type_, id},
                      static_cast<uint32_t>(offset),
                      static_cast<uint32_t>(length),
                      uncompressed_length});
}

bool PackBuilder::fits(const PackBuilder& other, size_t target) const {
    return buffer_.size() + other.buffer_.size() <= target &&
           (blobs_.size() + other.blobs_.size()) * kHeaderEntryCompressed +
                   crypto::kEnvelopeOverhead <=
               kMaxHeader;
}

void PackBuilder::absorb(const PackBuilder& other) {
    CHECK(type_ == other.type_);
    auto base = static_cast<uint32_t>(buffer_.size());
    append(buffer_, other.buffer_);
    for (PackedBlob blob : other.blobs_) {
        blob.offset += base;
        blobs_.push_back(blob);
    }
}

bool PackBuilder::full(size_t target) const {
    return buffer_.size() >= target ||
           (blobs_.size() + 1) * kHeaderEntryCompressed + crypto::kEnvelopeOverhead > kMaxHeader;
}

PackBuilder::Finished PackBuilder::finish(crypto::Cipher& cipher, Bytes recycled) {
    CHECK(!blobs_.empty());
    Bytes header = encode_pack_header(blobs_);
    size_t offset = buffer_.size(), length = header.size() + crypto::kEnvelopeOverhead;
    buffer_.resize(offset + length + 4);
    cipher.seal(header, buffer_.data() + offset);
    put_le32(buffer_.data() + offset + length, static_cast<uint32_t>(length));
    HeaderResult check =
        read_pack_header(ByteView(buffer_).subspan(offset), buffer_.size(), cipher);
    CHECK(check.blobs == blobs_);
    hash_.update(unhashed());
    Finished out{hash_.digest(), std::move(buffer_), std::move(blobs_)};
    buffer_ = std::move(recycled);
    buffer_.clear();
    blobs_.clear();
    hash_ = {};
    hashed_ = 0;
    return out;
}

}  // namespace sevenfold::repository
