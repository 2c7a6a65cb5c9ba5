// Writes JSON byte for byte as Go's encoding/json does (1.21 and older), straight into a buffer.
// Trees need the bytes exact; everything else uses it so that there is one writer only.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/id.h"
#include "core/time.h"

namespace sevenfold::repository {

// Appends to `out` and owns its end while it lives: the buffer is longer than what was written, and
// finish() (or the destructor) cuts it.
class JsonWriter {
  public:
    explicit JsonWriter(Bytes& out) : out_(out), used_(out.size()) {}
    ~JsonWriter() { finish(); }
    JsonWriter(const JsonWriter&) = delete;
    JsonWriter& operator=(const JsonWriter&) = delete;
    void finish() { out_.resize(used_); }

    // Punctuation and keys, as they are.
    void raw(std::string_view text) {
        if (text.empty()) return;
        std::memcpy(room(text.size()), text.data(), text.size());
        used_ += text.size();
    }
    void u64(uint64_t value);
    void i64(int64_t value);
    void boolean(bool value) { raw(value ? "true" : "false"); }
    // With quotes; <, > and & escaped; every byte that is not UTF-8 becomes \ufffd.
    void string(std::string_view text);
    // A node's name: Go-quoted first (internal/go_quote.h).
    void name(std::string_view bytes);
    void strings(std::span<const std::string> list);
    void id(const Id& id);
    void time(const Time& time);
    void base64(ByteView bytes);

  private:
    // At least `size` bytes to write to.
    uint8_t* room(size_t size) {
        if (out_.size() - used_ < size) grow(size);
        return out_.data() + used_;
    }
    void grow(size_t size);
    void escaped(std::string_view text);

    Bytes& out_;
    size_t used_;
    // "2026-11-22T" of the day written last: the times of a tree cluster.
    int64_t day_ = INT64_MIN;
    char date_[11] = {};
};

}  // namespace sevenfold::repository
