// Writes JSON, one object a line, for --json. Reading JSON is not done here.
//
//     terminal.json(JsonObject().set("type", "place").set("name", place.name).set("ok", true));
//
// Text that is not valid UTF-8 (file names may be anything) gets U+FFFD for each bad byte, as
// restic prints it.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/time.h"

namespace sevenfold::cli {

class JsonArray;

// Appends `text` in quotes, escaped.
void append_json_text(std::string& out, std::string_view text);
// Appends a number; infinities and NaN, which JSON does not have, become null.
void append_json_number(std::string& out, double value);

// An object under construction; keys appear in the order they were set.
class JsonObject {
  public:
    template <class T>
    JsonObject& set(std::string_view key, const T& value);
    // Sets nothing when there is no value.
    template <class T>
    JsonObject& set(std::string_view key, const std::optional<T>& value) {
        return value ? set(key, *value) : *this;
    }
    std::string text() const { return "{" + body_ + "}"; }

  private:
    std::string body_;
};

class JsonArray {
  public:
    template <class T>
    JsonArray& add(const T& value);
    template <class Range>
    static JsonArray of(const Range& range) {
        JsonArray array;
        for (const auto& value : range) array.add(value);
        return array;
    }
    std::string text() const { return "[" + body_ + "]"; }

  private:
    std::string body_;
};

template <class T>
void append_json(std::string& out, const T& value) {
    if constexpr (std::same_as<T, bool>) {
        out += value ? "true" : "false";
    } else if constexpr (std::integral<T>) {
        fmt::format_to(std::back_inserter(out), "{}", value);
    } else if constexpr (std::floating_point<T>) {
        append_json_number(out, value);
    } else if constexpr (std::same_as<T, JsonObject> || std::same_as<T, JsonArray>) {
        out += value.text();
    } else if constexpr (std::same_as<T, Time>) {
        append_json_text(out, to_rfc3339(value));
    } else {
        static_assert(std::convertible_to<T, std::string_view>, "no JSON form for this type");
        append_json_text(out, value);
    }
}

template <class T>
JsonObject& JsonObject::set(std::string_view key, const T& value) {
    if (!body_.empty()) body_ += ',';
    append_json_text(body_, key);
    body_ += ':';
    append_json(body_, value);
    return *this;
}

template <class T>
JsonArray& JsonArray::add(const T& value) {
    if (!body_.empty()) body_ += ',';
    append_json(body_, value);
    return *this;
}

}  // namespace sevenfold::cli
