// The order in which views can be made: each after those that it names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sevenfold::database::mariadb {

struct View {
    std::string database, name;
    std::string create;  // as SHOW CREATE VIEW prints it in a session without a database
    std::string collation;
};

struct ViewOrder {
    std::vector<size_t> order;  // numbers of views
    std::vector<bool> named;    // by number: another view names it
};
ViewOrder order_views(const std::vector<View>& views);

// "CREATE … DEFINER=`a`@`b` SQL SECURITY …" without the definer.
std::string without_definer(std::string_view create);

}  // namespace sevenfold::database::mariadb
