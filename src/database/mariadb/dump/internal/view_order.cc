#include "database/mariadb/dump/internal/view_order.h"

#include <map>
#include <utility>

#include "database/mariadb/dump/internal/sql_text.h"

namespace sevenfold::database::mariadb {

ViewOrder order_views(const std::vector<View>& views) {
    std::map<std::pair<std::string, std::string>, size_t> numbers;
    for (size_t i = 0; i < views.size(); ++i) numbers[{views[i].database, views[i].name}] = i;
    ViewOrder out;
    out.named.resize(views.size());
    std::vector<std::vector<size_t>> names(views.size());
    for (size_t i = 0; i < views.size(); ++i)
        for_each_qualified(views[i].create,
                           [&](const std::string& database, const std::string& name, size_t) {
                               auto at = numbers.find({database, name});
                               if (at == numbers.end() || at->second == i) return;
                               names[i].push_back(at->second);
                               out.named[at->second] = true;
                           });
    // Depth first, without recursion. An alias can look like a name and close a circle: it is cut
    // where it is found.
    std::vector<uint8_t> seen(views.size());
    for (size_t root = 0; root < views.size(); ++root) {
        std::vector<std::pair<size_t, size_t>> path;  // view, how many of its names are done
        if (!seen[root]) path.emplace_back(root, 0);
        seen[root] = 1;
        while (!path.empty()) {
            auto& [view, done] = path.back();
            if (done == names[view].size()) {
                out.order.push_back(view);
                path.pop_back();
                continue;
            }
            size_t next = names[view][done++];
            if (!seen[next]) path.emplace_back(next, 0);
            seen[next] = 1;
        }
    }
    return out;
}

std::string without_definer(std::string_view create) {
    constexpr std::string_view kDefiner = "DEFINER=";
    size_t start = create.find(kDefiner);
    if (start == create.npos) return std::string(create);
    size_t at = start + kDefiner.size();
    if (at < create.size() && create[at] == '`') read_quoted(create, at);
    if (at < create.size() && create[at] == '@') {
        ++at;
        if (at < create.size() && create[at] == '`') read_quoted(create, at);
    }
    if (at < create.size() && create[at] == ' ') ++at;
    return std::string(create.substr(0, start)) + std::string(create.substr(at));
}

}  // namespace sevenfold::database::mariadb
