// Path patterns as restic has them.
//
// A pattern is a path whose components may hold `*` (any bytes), `?` (one character), `[a-z]`,
// `[^a-z]` and `\` before a character that stands for itself (Go's filepath.Match); the component
// `**` stands for any number of components, none included. A pattern with a leading slash is
// matched from the root, any other anywhere in the path. A pattern that matches a folder matches
// everything below it too. `!` before a pattern takes back what the patterns before it in the list
// matched.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sevenfold::files {

// One component of a pattern, compiled.
class Glob {
  public:
    // Throws Error{usage} when it is malformed ("[a", "a\").
    explicit Glob(std::string_view pattern);
    bool matches(std::string_view text) const;

  private:
    struct Range {
        uint32_t low, high;
    };
    struct Token {
        enum Kind { literal, any_character, one_of, any_run } kind;
        std::string text{};           // literal
        bool negated = false;         // one_of
        std::vector<Range> ranges{};  // one_of
        // The bytes of `text` that this token (not any_run) takes; npos when it does not match.
        size_t take(std::string_view rest) const;
    };
    size_t parse_class(std::string_view pattern, size_t at);

    std::vector<Token> tokens_;
    bool plain_ = false;  // one literal, or nothing
};

enum class Case { sensitive, insensitive };
// Lower case by Unicode's simple mapping; bytes that are not UTF-8 stay as they are.
std::string to_lower(std::string_view text);

// A list of patterns, compiled once. Immutable afterwards: any number of threads may match.
class PatternList {
  public:
    PatternList() = default;
    // Empty patterns are ignored. Throws Error{usage} naming the first malformed pattern.
    explicit PatternList(std::span<const std::string> patterns, Case letters = Case::sensitive);

    bool empty() const { return patterns_.empty(); }
    // `path` is clean: no "//", no "." or ".." components, no trailing slash; usually absolute.
    bool matches(std::string_view path) const;

    struct Match {
        bool matched = false;          // the path itself, or a folder above it
        bool child_may_match = false;  // something below the path may match
    };
    Match match(std::string_view path) const;

  private:
    struct Part {
        bool any_folders;  // "**"
        Glob glob;
    };
    struct Pattern {
        bool negated = false;
        bool absolute = false;
        std::vector<Part> parts;  // without the root
    };
    using Parts = std::span<const Part>;
    using Components = std::span<const std::string_view>;

    static Pattern compile(std::string_view text);
    static bool match_here(Parts parts, Components components, bool anywhere);
    static bool match_pattern(const Pattern& pattern, Components components, bool path_is_absolute);
    static bool child_match(const Pattern& pattern, Components components, bool path_is_absolute);
    Match match(std::string_view path, bool with_children) const;

    std::vector<Pattern> patterns_;
    Case letters_ = Case::sensitive;
    bool has_negated_ = false;
};

}  // namespace sevenfold::files
