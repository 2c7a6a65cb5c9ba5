#include "files/pattern.h"

#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <filesystem>

#include "core/error.h"

namespace sevenfold::files {
namespace {

constexpr uint32_t kInvalid = 0xFFFD;

struct Rune {
    uint32_t value;
    size_t size;
};

// The character at the front of `text` (not empty). Invalid UTF-8 is U+FFFD, one byte long, as Go's
// utf8.DecodeRune has it.
Rune decode_rune(std::string_view text) {
    auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    uint8_t first = byte(0);
    if (first < 0x80) return {first, 1};
    size_t size = first >= 0xC2 && first < 0xE0   ? 2
                  : first >= 0xE0 && first < 0xF0 ? 3
                  : first >= 0xF0 && first < 0xF5 ? 4
                                                  : 0;
    if (size == 0 || text.size() < size) return {kInvalid, 1};
    uint32_t value = first & (0xFFU >> (size + 1));
    for (size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return {kInvalid, 1};
        value = value << 6 | (byte(i) & 0x3F);
    }
    bool overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
    bool surrogate = value >= 0xD800 && value < 0xE000;
    if (overlong || surrogate || value > 0x10FFFF) return {kInvalid, 1};
    return {value, size};
}

void append_rune(std::string& out, uint32_t r) {
    auto put = [&](uint32_t b) { out += static_cast<char>(b); };
    if (r < 0x80) return put(r);
    if (r < 0x800) {
        put(0xC0 | r >> 6);
    } else {
        if (r < 0x10000) {
            put(0xE0 | r >> 12);
        } else {
            put(0xF0 | r >> 18);
            put(0x80 | (r >> 12 & 0x3F));
        }
        put(0x80 | (r >> 6 & 0x3F));
    }
    put(0x80 | (r & 0x3F));
}

[[noreturn]] void malformed(std::string_view pattern) {
    throw Error(ErrorKind::usage, fmt::format("pattern \"{}\": malformed", pattern),
                "Close every [ with ], and write \\[ for a bracket that stands for itself.");
}

// One end of a range in a class, at `at`, which moves on. Something must follow it.
uint32_t range_end(std::string_view pattern, size_t& at) {
    if (at >= pattern.size() || pattern[at] == '-' || pattern[at] == ']') malformed(pattern);
    if (pattern[at] == '\\' && ++at >= pattern.size()) malformed(pattern);
    Rune r = decode_rune(pattern.substr(at));
    if (r.value == kInvalid && r.size == 1) malformed(pattern);
    at += r.size;
    if (at >= pattern.size()) malformed(pattern);
    return r.value;
}

// The path's components without the root; false when it is not absolute.
bool split(std::string_view path, std::vector<std::string_view>& out) {
    bool absolute = path.starts_with('/');
    if (absolute) path.remove_prefix(1);
    while (!path.empty()) {
        size_t slash = std::min(path.find('/'), path.size());
        out.push_back(path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return absolute;
}

// Go's filepath.Clean: no empty and "." components, ".." taken back where possible.
std::string clean(std::string_view path) {
    std::string out = std::filesystem::path(path).lexically_normal();
    while (out.size() > 1 && out.ends_with('/')) out.pop_back();
    if (out.starts_with("//")) out.erase(0, 1);
    return out.empty() ? "." : out;
}

}  // namespace

// One class "[…]" whose bracket is at at - 1; returns where it ends.
size_t Glob::parse_class(std::string_view pattern, size_t at) {
    Token token{Token::one_of};
    if (at < pattern.size() && pattern[at] == '^') {
        token.negated = true;
        ++at;
    }
    for (;;) {
        if (at < pattern.size() && pattern[at] == ']' && !token.ranges.empty()) break;
        uint32_t low = range_end(pattern, at);
        uint32_t high = low;
        if (pattern[at] == '-') high = range_end(pattern, ++at);
        token.ranges.push_back({low, high});
    }
    tokens_.push_back(std::move(token));
    return at + 1;
}

Glob::Glob(std::string_view pattern) {
    auto literal = [&](char c) {
        if (tokens_.empty() || tokens_.back().kind != Token::literal)
            tokens_.push_back({Token::literal});
        tokens_.back().text += c;
    };
    for (size_t at = 0; at < pattern.size();) {
        char c = pattern[at++];
        if (c == '*') {
            if (tokens_.empty() || tokens_.back().kind != Token::any_run)
                tokens_.push_back({Token::any_run});
        } else if (c == '?') {
            tokens_.push_back({Token::any_character});
        } else if (c == '[') {
            at = parse_class(pattern, at);
        } else if (c == '\\') {
            if (at == pattern.size()) malformed(pattern);
            literal(pattern[at++]);
        } else {
            literal(c);
        }
    }
    plain_ = tokens_.empty() || (tokens_.size() == 1 && tokens_[0].kind == Token::literal);
}

size_t Glob::Token::take(std::string_view rest) const {
    if (kind == literal) return rest.starts_with(text) ? text.size() : rest.npos;
    if (rest.empty()) return rest.npos;
    Rune r = decode_rune(rest);
    if (kind == any_character) return r.size;
    bool inside = std::ranges::any_of(
        ranges, [&](const Range& range) { return range.low <= r.value && r.value <= range.high; });
    return inside != negated ? r.size : rest.npos;
}

bool Glob::matches(std::string_view text) const {
    if (plain_) return text == (tokens_.empty() ? std::string_view() : tokens_[0].text);
    // On a mismatch the last `*` takes one byte more; earlier ones never need to.
    size_t token = 0, at = 0;
    size_t star = tokens_.size(), star_at = 0;
    for (;;) {
        if (token < tokens_.size() && tokens_[token].kind == Token::any_run) {
            star = token++;
            star_at = at;
            if (token == tokens_.size()) return true;
            continue;
        }
        size_t taken = std::string_view::npos;
        if (token < tokens_.size())
            taken = tokens_[token].take(text.substr(at));
        else if (at == text.size())
            return true;
        if (taken != std::string_view::npos) {
            at += taken;
            ++token;
        } else if (star < tokens_.size() && star_at < text.size()) {
            at = ++star_at;
            token = star + 1;
        } else {
            return false;
        }
    }
}

std::string to_lower(std::string_view text) {
    // glibc has the C.UTF-8 locale built in; without it only ASCII is mapped.
    static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        Rune r = decode_rune(text);
        if (r.value < 0x80) {
            out += static_cast<char>(r.value >= 'A' && r.value <= 'Z' ? r.value + 32 : r.value);
        } else if ((r.value == kInvalid && r.size == 1) || !locale) {
            out += text.substr(0, r.size);
        } else {
            append_rune(out, ::towlower_l(r.value, locale));
        }
        text.remove_prefix(r.size);
    }
    return out;
}

PatternList::Pattern PatternList::compile(std::string_view text) {
    Pattern pattern;
    if (text.starts_with('!')) {
        pattern.negated = true;
        text.remove_prefix(1);
    }
    std::string cleaned = clean(text);
    std::vector<std::string_view> components;
    pattern.absolute = split(cleaned, components);
    // "/" alone is everything.
    if (components.empty()) components.push_back("**");
    for (std::string_view component : components)
        pattern.parts.push_back({component == "**", Glob(component)});
    return pattern;
}

PatternList::PatternList(std::span<const std::string> patterns, Case letters) : letters_(letters) {
    for (const std::string& text : patterns) {
        if (text.empty()) continue;
        try {
            patterns_.push_back(compile(letters == Case::insensitive ? to_lower(text) : text));
        } catch (const Error& error) {
            throw Error(error.kind(), fmt::format("pattern \"{}\": malformed", text), error.hint());
        }
        has_negated_ |= patterns_.back().negated;
    }
}

// True when the parts match the first components (all parts, not all components), with `anywhere`
// also those after some that are left out.
bool PatternList::match_here(Parts parts, Components components, bool anywhere) {
    // On a mismatch the last `**` takes one component more; earlier ones never need to. What may
    // match anywhere is as if after a `**`.
    size_t part = 0, at = 0;
    size_t after_any = 0, any_end = 0;
    bool has_any = anywhere;
    while (part < parts.size()) {
        if (parts[part].any_folders) {
            after_any = ++part;
            any_end = at;
            has_any = true;
        } else if (at < components.size() && parts[part].glob.matches(components[at])) {
            ++part;
            ++at;
        } else if (has_any && any_end < components.size()) {
            part = after_any;
            at = ++any_end;
        } else {
            return false;
        }
    }
    return true;
}

bool PatternList::match_pattern(const Pattern& pattern, Components components,
                                bool path_is_absolute) {
    if (pattern.absolute) return path_is_absolute && match_here(pattern.parts, components, false);
    return !components.empty() && match_here(pattern.parts, components, true);
}

bool PatternList::child_match(const Pattern& pattern, Components components,
                              bool path_is_absolute) {
    // A pattern that is not anchored may match at any depth.
    if (!pattern.absolute) return true;
    if (!path_is_absolute) return false;
    // As much of the pattern as the path is deep, up to the first "**", must match the path.
    Parts parts(pattern.parts);
    auto any = std::ranges::find_if(parts, [](const Part& part) { return part.any_folders; });
    parts = parts.first(static_cast<size_t>(any - parts.begin()));
    size_t depth = std::min(parts.size(), components.size());
    return match_here(parts.first(depth), components, false);
}

PatternList::Match PatternList::match(std::string_view path, bool with_children) const {
    if (patterns_.empty()) return {};
    std::string lower;
    if (letters_ == Case::insensitive) path = lower = to_lower(path);
    std::vector<std::string_view> components;
    components.reserve(16);
    bool absolute = split(path, components);
    Match out;
    for (const Pattern& pattern : patterns_) {
        bool matched = match_pattern(pattern, components, absolute);
        if (pattern.negated) {
            out.matched = out.matched && !matched;
            out.child_may_match = out.child_may_match && !matched;
            continue;
        }
        out.matched |= matched;
        if (with_children) out.child_may_match |= child_match(pattern, components, absolute);
        if (out.matched && !has_negated_ && (!with_children || out.child_may_match)) break;
    }
    return out;
}

bool PatternList::matches(std::string_view path) const { return match(path, false).matched; }
PatternList::Match PatternList::match(std::string_view path) const { return match(path, true); }

}  // namespace sevenfold::files
