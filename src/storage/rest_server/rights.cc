#include "storage/rest_server/rights.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/units.h"
#include "storage/rest_server/rest_path.h"

namespace sevenfold::storage {
namespace {

std::vector<std::string> words_of(std::string_view line) {
    line = line.substr(0, line.find('#'));
    std::vector<std::string> words;
    while (true) {
        size_t from = line.find_first_not_of(" \t\r");
        if (from == line.npos) return words;
        line.remove_prefix(from);
        size_t end = std::min(line.find_first_of(" \t\r"), line.size());
        words.emplace_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

// "/", "/shop", "/shop/": empty for the first, the others without a slash at the end.
std::string folder_of(std::string word) {
    while (word.ends_with('/')) word.pop_back();
    return word;
}

}  // namespace

std::string_view name(Right right) {
    constexpr std::string_view kNames[] = {"none", "read", "append", "full"};
    return kNames[static_cast<size_t>(right)];
}

std::vector<RightRule> parse_rights(std::string_view text, const std::string& path) {
    std::vector<RightRule> rules;
    for (int number = 1; !text.empty(); ++number) {
        size_t end = std::min(text.find('\n'), text.size());
        std::vector<std::string> words = words_of(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (words.empty()) continue;
        auto bad = [&](std::string_view why) {
            return Error(ErrorKind::config, fmt::format("{}:{}: {}", path, number, why),
                         "A line is: USER FOLDER none|read|append|full [QUOTA], or USER metrics.");
        };
        RightRule rule{.user = words[0]};
        if (words.size() == 2 && words[1] == "metrics") {
            rule.metrics = true;
            rules.push_back(rule);
            continue;
        }
        if (words.size() < 3 || words.size() > 4) throw bad("three or four words are needed");
        auto folder = parse_repository_path(folder_of(words[1]) + "/");
        if (!folder || folder->repository != folder_of(words[1]))
            throw bad("this is not a folder like /shop");
        rule.folder = folder->repository;
        bool known = false;
        for (Right right : {Right::none, Right::read, Right::append, Right::full})
            if (name(right) == words[2]) {
                rule.right = right;
                known = true;
            }
        if (!known) throw bad(fmt::format("there is no right {}", words[2]));
        if (words.size() == 4) {
            auto quota = parse_size(words[3]);
            if (!quota || *quota == 0) throw bad("the quota is not a size like 500GiB");
            rule.quota = *quota;
        }
        rules.push_back(std::move(rule));
    }
    return rules;
}

Right Rights::of(std::string_view user, std::string_view repository) const {
    if (private_folders && (user.empty() || !is_below(repository, "/" + std::string(user))))
        return Right::none;
    if (!by_rules) return most;
    const RightRule* best = nullptr;
    for (const RightRule& rule : rules) {
        if (rule.metrics || (rule.user != user && rule.user != "*") ||
            !is_below(repository, rule.folder))
            continue;
        if (best != nullptr && (best->folder.size() > rule.folder.size() ||
                                (best->folder.size() == rule.folder.size() && rule.user == "*")))
            continue;
        best = &rule;
    }
    return best == nullptr ? Right::none : std::min(best->right, most);
}

bool Rights::metrics(std::string_view user) const {
    if (!by_rules) return !private_folders || user == "metrics";
    return std::ranges::any_of(rules, [&](const RightRule& rule) {
        return rule.metrics && (rule.user == user || rule.user == "*");
    });
}

}  // namespace sevenfold::storage
