#include "database/mariadb/physical/backup.h"

#include <gtest/gtest.h>

#include "database/layout.h"
#include "database/testing/mariadb_server.h"
#include "database/testing/nasty_schema.h"
#include "database/testing/stored_base.h"

namespace sevenfold::database::mariadb {
namespace {

using repository::testing::MemoryRepo;

Id store(MemoryRepo& repo, const PhysicalOptions& options, PhysicalResult* result = nullptr) {
    return store_tree(repo, [&](repository::TreeWriter& tree) {
        PhysicalResult made = back_up_physical(options, tree);
        if (result) *result = std::move(made);
    });
}

TEST(PhysicalBackupTest, EndToEnd) {
    TestServer source;
    make_nasty_schema(*source.connect());
    MemoryRepo repo;
    PhysicalResult made;
    store(repo, {.login = source.login()}, &made);
    EXPECT_GT(made.files, 100u);
    EXPECT_EQ(made.base.position.gtid,
              source.connect()->value("SELECT @@gtid_binlog_pos").value_or(""));
}

}  // namespace
}  // namespace sevenfold::database::mariadb
