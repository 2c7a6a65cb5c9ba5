#include "database/mariadb/binlog/gtid.h"

#include <gtest/gtest.h>

#include "storage/testing/contract.h"

namespace sevenfold::database::mariadb {
namespace {

TEST(Gtid, TextAndBack) {
    EXPECT_EQ(parse_gtid(" 0-1-5 "), (Gtid{0, 1, 5}));
    EXPECT_EQ(parse_gtid("4294967295-4294967295-18446744073709551615").display(),
              "4294967295-4294967295-18446744073709551615");
    for (const char* wrong :
         {"", "0-1", "0-1-", "0-1-5-", "-1-1-1", "0-1-5,", "4294967296-1-1", "a-b-c", "0--1-5"})
        storage::expect_error(ErrorKind::usage, [&] { parse_gtid(wrong); });
    EXPECT_EQ(parse_gtid_list("1-2-7,0-1-5").position(), "0-1-5,1-2-7");
    EXPECT_TRUE(parse_gtid_list(" ").empty());
    for (const char* wrong : {",", "0-1-5,", "0-1-5,,1-1-1", "0-1-5 1-1-1"})
        storage::expect_error(ErrorKind::usage, [&] { parse_gtid_list(wrong); });
}

TEST(GtidList, ThePositionNamesTheLastOfEachDomain) {
    GtidList list;
    list.add({0, 1, 5});
    list.add({0, 2, 7});
    list.add({3, 9, 1});
    EXPECT_EQ(list.position(), "0-2-7,3-9-1");
    EXPECT_EQ(list.state(), "0-1-5,0-2-7,3-9-1");
    list.add({0, 1, 8});
    EXPECT_EQ(list.state(), "0-2-7,0-1-8,3-9-1");
    EXPECT_EQ(parse_gtid_list(list.state()), list);
    EXPECT_EQ(list.last(0), (Gtid{0, 1, 8}));
    EXPECT_EQ(list.last(7), std::nullopt);
}

TEST(GtidList, ContainsWhatIsAtOrBefore) {
    GtidList list = parse_gtid_list("0-1-5,0-2-7");
    EXPECT_TRUE(list.contains({0, 1, 5}));
    EXPECT_FALSE(list.contains({0, 1, 6}));  // server 1 is known to end at 5
    EXPECT_TRUE(list.contains({0, 2, 6}));
    EXPECT_TRUE(list.contains({0, 3, 7}));  // an unknown server: by the domain's last
    EXPECT_FALSE(list.contains({0, 3, 8}));
    EXPECT_FALSE(list.contains({1, 1, 1}));
    EXPECT_TRUE(list.contains_all(parse_gtid_list("0-2-7")));
    EXPECT_FALSE(list.contains_all(parse_gtid_list("0-2-7,1-1-1")));
    EXPECT_TRUE(list.contains_all({}));
}

}  // namespace
}  // namespace sevenfold::database::mariadb
