// A password or key. It cannot be printed, formatted or compared by accident, and is wiped when it
// goes away.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "core/bytes.h"

namespace sevenfold {

// Overwrites memory in a way that the compiler may not remove.
void wipe(void* data, size_t size);

class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string_view text) : text_(text) {}
    Secret(const Secret&) = default;
    Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { other.clear(); }
    Secret& operator=(const Secret& other) {
        if (this != &other) {
            clear();
            text_ = other.text_;
        }
        return *this;
    }
    Secret& operator=(Secret&& other) noexcept {
        if (this != &other) {
            clear();
            text_ = std::move(other.text_);
            other.clear();
        }
        return *this;
    }
    ~Secret() { clear(); }

    bool empty() const { return text_.empty(); }
    // The only way to the text; call it where the secret is used, never to store or print it.
    std::string_view reveal() const { return text_; }
    void clear() {
        wipe(text_.data(), text_.size());
        text_.clear();
    }

  private:
    std::string text_;
};

}  // namespace sevenfold
