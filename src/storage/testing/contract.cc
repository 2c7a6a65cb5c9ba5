#include "storage/testing/contract.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/check.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"

namespace sevenfold::storage {

ContractCase contract(std::string name, std::function<std::unique_ptr<ContractPlace>()> make) {
    return {std::move(name), std::move(make)};
}

std::string contract_name(const testing::TestParamInfo<ContractCase>& info) {
    return info.param.name;
}

TestFolder::TestFolder() {
    std::string pattern = testing::TempDir() + "/sevenfold-XXXXXX";
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = std::filesystem::canonical(pattern).string();
}

TestFolder::~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

ContractCase folder_contract(std::string name,
                             std::function<std::unique_ptr<Backend>(const std::string&)> open) {
    struct Place : ContractPlace {
        TestFolder folder;
        std::function<std::unique_ptr<Backend>(const std::string&)> open_folder;
        std::unique_ptr<Backend> open() override { return open_folder(folder / "repo"); }
    };
    return contract(std::move(name), [open] {
        auto place = std::make_unique<Place>();
        place->open_folder = open;
        return place;
    });
}

FileName test_name(FileType type, uint64_t seed) {
    SplitMix64 random(seed);
    FileName name{type};
    for (uint8_t& byte : name.id.bytes) byte = static_cast<uint8_t>(random.next());
    return name;
}

Bytes test_body(size_t size, uint64_t seed) {
    SplitMix64 random(seed);
    Bytes body(size);
    for (uint8_t& byte : body) byte = static_cast<uint8_t>(random.next());
    return body;
}

Error expect_error(ErrorKind kind, const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        EXPECT_EQ(name(error.kind()), name(kind)) << error.message();
        return error;
    }
    ADD_FAILURE() << "no error, expected " << name(kind);
    return Error(ErrorKind::internal, "no error");
}

namespace {
std::set<Id> ids(Backend& backend, FileType type) {
    std::set<Id> out;
    for (const FileInfo& info : backend.list_all(type))
        EXPECT_TRUE(out.insert(info.id).second) << "listed twice";
    return out;
}
}  // namespace

// Tests of higher rooms link this file for its helpers alone.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BackendContract);

TEST_P(BackendContract, CreateMakesAnEmptyRepositoryOnce) {
    backend_->create();
    for (FileType type : kListedTypes) EXPECT_TRUE(backend_->list_all(type).empty());
    EXPECT_FALSE(backend_->exists({FileType::config}));
    backend_->create();  // nothing there yet: fine
    backend_->store({FileType::config}, as_bytes("the config"));
    expect_error(ErrorKind::exists, [&] { backend_->create(); });
    EXPECT_EQ(as_text(backend_->load_all({FileType::config})), "the config");
}

TEST_P(BackendContract, StoresAndLoadsEveryType) {
    backend_->create();
    for (FileType type : {FileType::config, FileType::key, FileType::lock, FileType::snapshot,
                          FileType::index, FileType::pack}) {
        FileName name = test_name(type, 1);
        EXPECT_FALSE(backend_->exists(name));
        Bytes body = test_body(1000 + static_cast<size_t>(type), 2);
        backend_->store(name, body);
        EXPECT_TRUE(backend_->exists(name));
        EXPECT_EQ(backend_->size(name), body.size());
        EXPECT_EQ(backend_->load_all(name), body);
    }
    auto again = place_->open();
    for (FileType type : kListedTypes) {
        auto listed = again->list_all(type);
        ASSERT_EQ(listed.size(), 1u);
        EXPECT_EQ(listed[0].id, test_name(type, 1).id);
        EXPECT_EQ(listed[0].size, 1000 + static_cast<size_t>(type));
    }
    EXPECT_TRUE(again->exists({FileType::config}));
}

TEST_P(BackendContract, StoresBodiesOfAllSizes) {
    backend_->create();
    uint64_t seed = 10;
    for (size_t size : {0, 1, 32767, 32768, 32769, 261120, 1 << 20, (5 << 20) + 17}) {
        FileName name = test_name(FileType::pack, ++seed);
        Bytes body = test_body(size, seed);
        backend_->store(name, body);
        EXPECT_EQ(backend_->size(name), size);
        EXPECT_EQ(backend_->load_all(name), body) << size;
    }
}

TEST_P(BackendContract, LoadsRanges) {
    backend_->create();
    FileName name = test_name(FileType::pack, 3);
    Bytes body = test_body(700'001, 4);
    backend_->store(name, body);
    SplitMix64 random(5);
    for (int i = 0; i < 30; ++i) {
        uint64_t offset = random.below(body.size() + 1);
        size_t length = random.below(body.size() - offset + 1);
        Bytes part = backend_->load(name, offset, length);
        EXPECT_TRUE(std::ranges::equal(part, ByteView(body).subspan(offset, length)));
    }
    EXPECT_EQ(backend_->load(name, 700'001, 0).size(), 0u);
}

TEST_P(BackendContract, ShortReadIsAnError) {
    backend_->create();
    FileName name = test_name(FileType::pack, 3);
    backend_->store(name, test_body(100, 1));
    expect_error(ErrorKind::io, [&] { backend_->load(name, 0, 101); });
    expect_error(ErrorKind::io, [&] { backend_->load(name, 100, 1); });
    expect_error(ErrorKind::io, [&] { backend_->load(name, 101, 0); });
    expect_error(ErrorKind::io, [&] { backend_->load(name, UINT64_MAX, 1); });
    expect_error(ErrorKind::io, [&] { backend_->load(name, 0, size_t{1} << 50); });
    EXPECT_EQ(backend_->load(name, 99, 1).size(), 1u);  // still usable
}

TEST_P(BackendContract, LoadAllHonoursItsLimit) {
    backend_->create();
    FileName name = test_name(FileType::index, 3);
    Bytes body = test_body(100, 1);
    backend_->store(name, body);
    EXPECT_EQ(backend_->load_all(name, 100), body);
    expect_error(ErrorKind::corrupt, [&] { backend_->load_all(name, 99); });
}

TEST_P(BackendContract, MissingFilesAreNotFound) {
    backend_->create();
    for (FileType type : {FileType::config, FileType::key, FileType::lock, FileType::snapshot,
                          FileType::index, FileType::pack}) {
        FileName name = test_name(type, 9);
        expect_error(ErrorKind::not_found, [&] { backend_->size(name); });
        expect_error(ErrorKind::not_found, [&] { backend_->load(name, 0, 1); });
        Error error = expect_error(ErrorKind::not_found, [&] { backend_->load_all(name); });
        EXPECT_THAT(
            error.message(),
            testing::HasSubstr(type == FileType::config ? std::string("config") : name.id.hex()));
        expect_error(ErrorKind::not_found, [&] { backend_->remove(name); });
        EXPECT_FALSE(backend_->exists(name));
    }
}

TEST_P(BackendContract, ReplacesAnExistingFile) {
    backend_->create();
    FileName name = test_name(FileType::snapshot, 1);
    backend_->store(name, test_body(50'000, 1));
    backend_->store(name, test_body(50'000, 1));
    EXPECT_EQ(backend_->load_all(name), test_body(50'000, 1));
    backend_->store(name, test_body(10, 2));
    EXPECT_EQ(backend_->load_all(name), test_body(10, 2));
    EXPECT_EQ(ids(*backend_, FileType::snapshot).size(), 1u);
}

TEST_P(BackendContract, RemovesFiles) {
    backend_->create();
    for (FileType type : kListedTypes) {
        backend_->store(test_name(type, 1), as_bytes("one"));
        backend_->store(test_name(type, 2), as_bytes("two"));
        backend_->remove(test_name(type, 1));
        EXPECT_EQ(ids(*backend_, type), std::set<Id>{test_name(type, 2).id});
        EXPECT_FALSE(backend_->exists(test_name(type, 1)));
        EXPECT_EQ(as_text(backend_->load_all(test_name(type, 2))), "two");
    }
    backend_->store({FileType::config}, as_bytes("c"));
    backend_->remove({FileType::config});
    EXPECT_FALSE(backend_->exists({FileType::config}));
}

TEST_P(BackendContract, ListsManyFiles) {
    backend_->create();
    std::set<Id> expected;
    for (uint64_t i = 0; i < 150; ++i) {
        FileName name = test_name(FileType::pack, 1000 + i);
        backend_->store(name, test_body(i, i));
        expected.insert(name.id);
    }
    EXPECT_EQ(ids(*backend_, FileType::pack), expected);
    // The callback may use the backend, and what it throws comes out.
    uint64_t bytes = 0;
    backend_->list(FileType::pack, [&](const FileInfo& info) {
        bytes += backend_->size({FileType::pack, info.id});
    });
    EXPECT_EQ(bytes, 149u * 150 / 2);
    EXPECT_THROW(backend_->list(FileType::pack, [](const FileInfo&) { throw 7; }), int);
    EXPECT_EQ(ids(*backend_, FileType::pack), expected);
}

TEST_P(BackendContract, ServesSeveralThreads) {
    backend_->create();
    parallel_for(24, 6, [&](size_t i) {
        FileName name = test_name(FileType::pack, i);
        Bytes body = test_body(10'000 + i * 37'000, i);
        backend_->store(name, body);
        EXPECT_EQ(backend_->load_all(name), body);
        EXPECT_EQ(backend_->load(name, i, 100), Bytes(body.begin() + i, body.begin() + i + 100));
        if (i % 3 == 0) backend_->remove(name);
    });
    EXPECT_EQ(ids(*backend_, FileType::pack).size(), 16u);
}

TEST_P(BackendContract, NamesItsPlace) {
    EXPECT_FALSE(backend_->location().empty());
    EXPECT_GE(backend_->capabilities().connections, 1u);
}

}  // namespace sevenfold::storage
