#include "repository/repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/sha256.h"
#include "repository/pack.h"
#include "repository/testing/memory_repo.h"
#include "storage/testing/contract.h"

namespace sevenfold::repository {
namespace {

using storage::expect_error;
using storage::FileName;
using storage::FileType;
using storage::test_body;
using ::testing::HasSubstr;
using testing::MemoryRepo;
using ::testing::Not;
using ::testing::SizeIs;

constexpr KeyOptions kQuick{.kdf_time = std::chrono::milliseconds(0)};

// A pack of one raw blob, stored and put into the index.
Id store_pack(Repository& repository, ByteView content, size_t padding) {
    crypto::Cipher cipher(repository.master_key());
    PackBuilder builder(BlobType::data);
    Bytes other = test_body(padding, padding);
    builder.add(cipher, crypto::sha256(other), other, 0);
    builder.add(cipher, crypto::sha256(content), content, 0);
    auto pack = builder.finish(cipher);
    repository.backend().store({FileType::pack, pack.id}, pack.file);
    repository.index().add({pack.id, pack.blobs});
    return pack.id;
}

TEST(Repository, OpensWithItsPasswordOnly) {
    MemoryRepo repo;
    auto opened = repo.open();
    EXPECT_EQ(opened->config().version, 2);
    EXPECT_EQ(opened->config().chunker_polynomial, MemoryRepo::polynomial());
    EXPECT_EQ(repo.open()->master_key(), opened->master_key());
    expect_error(ErrorKind::wrong_password,
                 [&] { Repository::open(repo.backend(), Secret("not it"), {}); });
    expect_error(ErrorKind::exists,
                 [&] { Repository::create(repo.backend(), Secret("x"), {.key = kQuick}); });
    EXPECT_EQ(repo.open()->config().id, opened->config().id) << "the second create changed it";
}

TEST(Repository, TwoRepositoriesShareNothing) {
    MemoryRepo one({.chunker_polynomial = random_polynomial()});
    MemoryRepo two({.chunker_polynomial = random_polynomial()});
    EXPECT_NE(one.open()->config().id, two.open()->config().id);
    EXPECT_NE(one.open()->config().chunker_polynomial, two.open()->config().chunker_polynomial);
    EXPECT_FALSE(one.open()->master_key() == two.open()->master_key());
}

TEST(Repository, SaysWhenThereIsNone) {
    MemoryRepo repo;
    repo.files.set_files({});
    Error error = expect_error(ErrorKind::no_repository, [&] { repo.open(); });
    EXPECT_THAT(error.message(), HasSubstr("memory:"));
    EXPECT_THAT(error.hint(), HasSubstr("init"));
}

TEST(Repository, RefusesAnEmptyPassword) {
    storage::MemoryBackend files;
    expect_error(ErrorKind::usage, [&] {
        Repository::create(std::make_unique<storage::BorrowedBackend>(files), Secret(""), {});
    });
    EXPECT_TRUE(files.files().empty());
}

TEST(Repository, CreatesAgainWhereCreatingFailedHalfWay) {
    MemoryRepo repo;
    repo.files.set_files({});
    repo.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type == FileType::config) throw Error(ErrorKind::network, "connection lost");
    };
    auto create = [&] { Repository::create(repo.backend(), repo.password(), {.key = kQuick}); };
    expect_error(ErrorKind::network, create);
    EXPECT_THAT(repo.ids(FileType::key), SizeIs(1));
    expect_error(ErrorKind::no_repository, [&] { repo.open(); });
    repo.hooks.on_store = nullptr;
    create();
    // The first key opens with this password too, but does not fit this config.
    EXPECT_THAT(repo.ids(FileType::key), SizeIs(1));
    EXPECT_EQ(repo.open()->config().version, 2);
}

TEST(Repository, IsNotCreatedOverOneThatLostItsConfig) {
    for (FileType left : {FileType::snapshot, FileType::index, FileType::pack}) {
        MemoryRepo repo;
        repo.open()->save_unpacked(left, as_bytes("{}"));
        repo.files.remove({FileType::config, {}});
        auto before = repo.files.files();
        expect_error(ErrorKind::refused,
                     [&] { Repository::create(repo.backend(), repo.password(), {.key = kQuick}); });
        EXPECT_EQ(repo.files.files(), before);
    }
}

TEST(Repository, TwoThatCreateAtOnceDoNotBothHaveOne) {
    MemoryRepo repo;
    repo.files.set_files({});
    // The other is done between our look for a config and the storing of ours.
    MemoryRepo other;
    repo.hooks.on_store = [&](const FileName& name, ByteView) {
        if (name.type != FileType::config) return;
        repo.hooks.on_store = nullptr;
        repo.files.set_files(other.files.files());  // our key is gone
    };
    expect_error(ErrorKind::exists,
                 [&] { Repository::create(repo.backend(), repo.password(), {.key = kQuick}); });
}

TEST(Repository, NoticesADamagedConfig) {
    MemoryRepo repo;
    const auto good = repo.files.files();
    const size_t size = good.at({FileType::config, Id{}}).size();
    for (size_t left : {size_t{0}, size_t{10}, size_t{31}, size_t{32}, size / 2, size - 1}) {
        auto all = good;
        all.at({FileType::config, Id{}}).resize(left);
        repo.files.set_files(all);
        Error error = expect_error(ErrorKind::corrupt, [&] { repo.open(); });
        EXPECT_THAT(error.message(), HasSubstr("config")) << left;
    }
    for (size_t at = 0; at < size; ++at) {
        repo.files.set_files(good);
        repo.damage(FileType::config, {}, at);
        expect_error(ErrorKind::corrupt, [&] { repo.open(); });
    }
}

TEST(Repository, NoticesADamagedKey) {
    MemoryRepo repo;
    const auto good = repo.files.files();
    Id key = repo.ids(FileType::key).at(0);
    const size_t size = good.at({FileType::key, key}).size();
    for (size_t left = 0; left < size; left += 17) {
        auto all = good;
        all.at({FileType::key, key}).resize(left);
        repo.files.set_files(all);
        expect_error(ErrorKind::corrupt, [&] { repo.open(); });
    }
    // A second key still opens it.
    repo.files.set_files(good);
    auto opened = repo.open();
    add_key(repo.files, opened->master_key(), Secret("second"), kQuick);
    repo.damage(FileType::key, key, size / 2);
    EXPECT_NO_THROW(Repository::open(repo.backend(), Secret("second"), {}));
}

class RepositoryVersions : public ::testing::TestWithParam<int> {};

TEST_P(RepositoryVersions, KeepsUnpackedFiles) {
    MemoryRepo repo({.version = GetParam()});
    auto opened = repo.open();
    std::string json = R"({"tree":")" + std::string(5000, 'x') + R"("})";
    Id id = opened->save_unpacked(FileType::snapshot, as_bytes(json));
    EXPECT_EQ(as_text(repo.open()->load_unpacked(FileType::snapshot, id)), json);
    size_t stored = repo.files.size({FileType::snapshot, id});
    if (GetParam() == 1) {
        EXPECT_EQ(stored, json.size() + 32) << "version 1 knows no compression";
    } else {
        EXPECT_LT(stored, 500u);
    }
    opened->remove(FileType::snapshot, id);
    expect_error(ErrorKind::not_found, [&] { opened->load_unpacked(FileType::snapshot, id); });
}
INSTANTIATE_TEST_SUITE_P(Both, RepositoryVersions, ::testing::Values(1, 2));

TEST(Repository, LooksTwiceBeforeItCallsAFileDamaged) {
    MemoryRepo repo;
    auto opened = repo.open();
    Id id = opened->save_unpacked(FileType::snapshot, as_bytes("{}"));
    int loads = 0, damaged = 1;
    repo.hooks.on_loaded = [&](const FileName&, Bytes& body) {
        if (loads++ < damaged) body[0] ^= 1;
    };
    EXPECT_EQ(as_text(opened->load_unpacked(FileType::snapshot, id)), "{}");
    EXPECT_EQ(loads, 2);
    loads = 0, damaged = 10;
    Error error =
        expect_error(ErrorKind::corrupt, [&] { opened->load_unpacked(FileType::snapshot, id); });
    EXPECT_EQ(loads, 2);
    EXPECT_THAT(error.message(), HasSubstr(id.hex()));
    EXPECT_THAT(error.hint(), Not(::testing::IsEmpty()));
}

TEST(Repository, RefusesAFileUnderAnothersName) {
    MemoryRepo repo;
    auto opened = repo.open();
    Id one = opened->save_unpacked(FileType::snapshot, as_bytes("{}"));
    Id two = opened->save_unpacked(FileType::snapshot, as_bytes("{\"a\":1}"));
    repo.files.store({FileType::snapshot, one}, repo.files.load_all({FileType::snapshot, two}));
    expect_error(ErrorKind::corrupt, [&] { opened->load_unpacked(FileType::snapshot, one); });
    // Rightly named, but under another key.
    crypto::Cipher stranger(crypto::CipherKey::generate());
    Bytes foreign = stranger.seal(as_bytes("{}"));
    Id id = crypto::sha256(foreign);
    repo.files.store({FileType::snapshot, id}, foreign);
    expect_error(ErrorKind::corrupt, [&] { opened->load_unpacked(FileType::snapshot, id); });
    // Neither JSON nor marked as compressed.
    crypto::Cipher own(opened->master_key());
    for (const char* text : {"\x01rubbish", "\x02rubbish", "x"}) {
        Bytes sealed = own.seal(as_bytes(text));
        repo.files.store({FileType::snapshot, crypto::sha256(sealed)}, sealed);
        expect_error(ErrorKind::corrupt,
                     [&] { opened->load_unpacked(FileType::snapshot, crypto::sha256(sealed)); });
    }
}

TEST(Repository, TriesEveryCopyOfABlob) {
    MemoryRepo repo;
    auto opened = repo.open();
    Bytes content = test_body(5000, 1);
    BlobHandle blob{BlobType::data, crypto::sha256(content)};
    expect_error(ErrorKind::not_found, [&] { opened->load_blob(blob); });
    Id packs[3];
    for (size_t i = 0; i < 3; ++i) packs[i] = store_pack(*opened, content, 100 + i);
    EXPECT_EQ(opened->load_blob(blob), content);
    // Whichever copy comes first: two of three are bad in every combination.
    const auto good = repo.files.files();
    for (size_t kept = 0; kept < 3; ++kept) {
        repo.files.set_files(good);
        repo.damage(FileType::pack, packs[(kept + 1) % 3], 300);
        repo.files.remove({FileType::pack, packs[(kept + 2) % 3]});
        EXPECT_EQ(opened->load_blob(blob), content) << kept;
    }
    repo.files.set_files(good);
    for (const Id& pack : packs) repo.damage(FileType::pack, pack, 300);
    Error error = expect_error(ErrorKind::corrupt, [&] { opened->load_blob(blob); });
    EXPECT_THAT(error.message(), HasSubstr(blob.id.hex()));
    EXPECT_THAT(error.message(), HasSubstr("pack "));
}

TEST(Repository, ReadsABlobOnceMoreBeforeItGivesUp) {
    MemoryRepo repo;
    auto opened = repo.open();
    Bytes content = test_body(5000, 1);
    store_pack(*opened, content, 10);
    int loads = 0;
    repo.hooks.on_loaded = [&](const FileName&, Bytes& body) {
        if (loads++ == 0) body.back() ^= 1;
    };
    EXPECT_EQ(opened->load_blob({BlobType::data, crypto::sha256(content)}), content);
    EXPECT_EQ(loads, 2);
}

TEST(Repository, LoadsWhatIsGoodOfADamagedIndex) {
    MemoryRepo repo;
    auto opened = repo.open();
    Bytes content[2] = {test_body(1000, 1), test_body(1000, 2)};
    std::vector<Id> files;
    for (size_t i = 0; i < 2; ++i) {
        store_pack(*opened, content[i], i);
        std::vector<IndexedPack> packs;
        opened->index().for_each_pack([&](const IndexedPack& pack) { packs.push_back(pack); });
        files.push_back(opened->save_unpacked(FileType::index,
                                              as_bytes(encode_index(std::span(&packs[i], 1)))));
    }
    EXPECT_EQ(repo.open()->index().pack_count(), 2u);
    repo.damage(FileType::index, files[0], 20);
    Error error = expect_error(ErrorKind::corrupt, [&] { repo.open(); });
    EXPECT_THAT(error.message(), HasSubstr(files[0].hex()));
    std::vector<Error> damaged;
    opened->load_index(&damaged);
    ASSERT_THAT(damaged, SizeIs(1));
    EXPECT_THAT(damaged[0].message(), HasSubstr(files[0].hex()));
    EXPECT_EQ(opened->index().pack_count(), 1u);
    EXPECT_EQ(opened->load_blob({BlobType::data, crypto::sha256(content[1])}), content[1]);
}

TEST(Repository, ReadsPackHeadersOfAnySize) {
    MemoryRepo repo;
    auto opened = repo.open();
    crypto::Cipher cipher(opened->master_key());
    for (size_t blobs : {1, 15, 16, 17, 500}) {
        PackBuilder builder(BlobType::tree);
        for (size_t n = 0; n < blobs; ++n) {
            Bytes body = test_body(10, n);
            builder.add(cipher, crypto::sha256(body), body, 0);
        }
        auto pack = builder.finish(cipher);
        repo.files.store({FileType::pack, pack.id}, pack.file);
        EXPECT_EQ(opened->load_pack_header(pack.id, pack.file.size()), pack.blobs);
        Error error = expect_error(
            ErrorKind::corrupt, [&] { opened->load_pack_header(pack.id, pack.file.size() - 1); });
        EXPECT_THAT(error.message(), HasSubstr(pack.id.hex()));
    }
}

TEST(Repository, NamesTheTreeThatIsDamaged) {
    MemoryRepo repo;
    auto opened = repo.open();
    crypto::Cipher cipher(opened->master_key());
    PackBuilder builder(BlobType::tree);
    Bytes rubbish = to_bytes(as_bytes("{\"nodes\":[{]}"));
    Id id = crypto::sha256(rubbish);
    builder.add(cipher, id, rubbish, 0);
    auto pack = builder.finish(cipher);
    repo.files.store({FileType::pack, pack.id}, pack.file);
    opened->index().add({pack.id, pack.blobs});
    Error error = expect_error(ErrorKind::corrupt, [&] { opened->load_tree(id); });
    EXPECT_THAT(error.message(), HasSubstr("tree " + id.hex()));
}

}  // namespace
}  // namespace sevenfold::repository
