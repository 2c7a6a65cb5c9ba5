#include "database/mariadb/load/internal/rename.h"

#include <gtest/gtest.h>

namespace sevenfold::database::mariadb {
namespace {

TEST(RenameDatabasesTest, NamesBeforeADotAndNothingElse) {
    const DatabaseNames names = {{"a", "b`c"}, {"my_db", "my_new"}, {"old", "x"}};
    const std::pair<const char*, const char*> cases[] = {
        {"USE `a`", "USE `b``c`"},
        {"USE `ab`", "USE `ab`"},
        {"CREATE DATABASE `a` /*!40100 DEFAULT */", "CREATE DATABASE `b``c` /*!40100 DEFAULT */"},
        {"ALTER DATABASE `a` COLLATE x", "ALTER DATABASE `b``c` COLLATE x"},
        {"select `a`.`t`.`a` from `a`.`t`", "select `b``c`.`t`.`a` from `b``c`.`t`"},
        {"select a.t, x.a.t, ba.t, 'a.t', \"a.t\" -- a.t\n, a.t /* a.t */ # a.t",
         "select `b``c`.t, x.a.t, ba.t, 'a.t', \"a.t\" -- a.t\n, `b``c`.t /* a.t */ # a.t"},
        {"SET NEW.x = OLD.x, n = `old`.x", "SET NEW.x = OLD.x, n = `x`.x"},
        {"GRANT SELECT ON `my\\_db`.* TO `a`@`%`", "GRANT SELECT ON `my\\_new`.* TO `a`@`%`"},
        {"GRANT SELECT ON `my_db`.`t` TO x", "GRANT SELECT ON `my_new`.`t` TO x"},
        {"a", "a"},
        {"`a", "`a"},
    };
    for (const auto& [statement, expected] : cases)
        EXPECT_EQ(rename_databases(statement, names), expected);
    EXPECT_EQ(rename_databases("\"a\".x, \"a\"\"\".x", names, true), "`b``c`.x, \"a\"\"\".x");
}

}  // namespace
}  // namespace sevenfold::database::mariadb
