#include "database/testing/nasty_schema.h"

#include <fmt/format.h>

namespace sevenfold::database {
namespace {

const char* const kStatements[] = {
    "CREATE DATABASE nasty CHARACTER SET utf8mb4",
    "CREATE DATABASE `odd``name.%` CHARACTER SET latin1",
    "USE nasty",
    "CREATE SEQUENCE tickets START WITH 100 INCREMENT BY 10 CACHE 5",
    "SELECT NEXTVAL(tickets)",
    R"(CREATE TABLE types (
      id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
      t TINYINT, s SMALLINT UNSIGNED, m MEDIUMINT, i INT UNSIGNED, b BIGINT,
      f FLOAT, d DOUBLE, dec1 DECIMAL(65,30), bits BIT(13), flag BIT(1),
      y YEAR, dt DATE, tm TIME(3), dtm DATETIME(6), ts TIMESTAMP(2) NULL,
      c CHAR(10), v VARCHAR(200), l1 VARCHAR(50) CHARACTER SET latin1,
      cz VARCHAR(50) CHARACTER SET cp1250, u16 VARCHAR(50) CHARACTER SET utf16,
      sj VARCHAR(50) CHARACTER SET sjis, bin BINARY(5), vb VARBINARY(100),
      tb TINYBLOB, bl LONGBLOB, tx LONGTEXT, j JSON,
      e ENUM('a','b\'c','d\\e','f,g'), st SET('x','y','z'),
      g GEOMETRY, p POINT, ip INET6, u UUID,
      gen INT GENERATED ALWAYS AS (t + 1) STORED, virt VARCHAR(20) AS (UPPER(c)) VIRTUAL,
      hidden INT INVISIBLE DEFAULT 7,
      KEY (i), UNIQUE KEY uv (v, id), KEY pre (tx(20)), FULLTEXT KEY ft (tx),
      CHECK (t IS NULL OR t < 120)) COMMENT='it''s a "comment"; with\nlines')",
    R"(INSERT INTO types (t,s,m,i,b,f,d,dec1,bits,flag,y,dt,tm,dtm,ts,c,v,l1,cz,u16,sj,bin,vb,tb,bl,tx,
      j,e,st,g,p,ip,u,hidden) VALUES
      (-128,65535,-8388608,4294967295,-9223372036854775808,16777217,0.1,
       12345678901234567890123456789012345.123456789012345678901234567890,b'1010101010101',1,
       1999,'2020-02-29','-838:59:58.999','1000-01-01 00:00:00.000001','2026-11-25 01:02:03.45',
       'tab\there','quote\'back\\slash\nnewline\r\0nul','äöü','ěščř','漢字','表示',
       X'0001020300',X'00FF0A0D095C',X'',REPEAT(X'00015C0A',5000),REPEAT('lörem ipsum ',1000),
       '{"a": [1, "ü", null]}','b\'c','x,z',ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'),
       POINT(1.5,-2.25),'::ffff:1.2.3.4','123e4567-e89b-12d3-a456-426655440000',3),
      (NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,
       NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
      (0,0,0,0,0,3.4028235e38,-1.7976931348623157e308,0,0,0,0,'0000-00-00','00:00:00',
       '0000-00-00 00:00:00','1970-01-01 00:00:01','','\\N','','','','','','','','','','""',
       'a','',NULL,NULL,'::',NULL,NULL))",
    "INSERT INTO types (f, d) VALUES (1.1, 1.1), (1e-38, 5e-324), (0.333333343267, 1/3e0)",
    "CREATE TABLE parent (id INT PRIMARY KEY, other INT) ENGINE=InnoDB",
    "CREATE TABLE child (a INT, b VARCHAR(20), p INT, PRIMARY KEY (b, a), UNIQUE KEY (p, a), "
    "CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE SET NULL)",
    "ALTER TABLE parent ADD FOREIGN KEY (id) REFERENCES child (p)",
    "SET SESSION foreign_key_checks=0",
    "INSERT INTO parent VALUES (1,2),(2,1)",
    "INSERT INTO child VALUES (1,'x',1),(2,'y',2)",
    "CREATE TABLE no_key (a INT, b TEXT)",
    "INSERT INTO no_key VALUES (3,'c'),(1,'a'),(1,'a'),(NULL,NULL)",
    "CREATE TABLE counter (grp INT, n INT NOT NULL AUTO_INCREMENT, x INT, PRIMARY KEY (grp, n), "
    "KEY (n), KEY (x)) ENGINE=InnoDB AUTO_INCREMENT=500",
    "INSERT INTO counter (grp, x) VALUES (2, 1), (1, 2)",
    "CREATE TABLE my (id INT PRIMARY KEY, t TEXT, FULLTEXT KEY (t)) ENGINE=MyISAM",
    "INSERT INTO my VALUES (2,'two'),(1,'one')",
    "CREATE TABLE ar (id INT, t TEXT) ENGINE=Aria",
    "INSERT INTO ar VALUES (9,'nine')",
    "CREATE TABLE parts (id INT, d DATE, PRIMARY KEY (id, d)) PARTITION BY RANGE (YEAR(d)) "
    "(PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN MAXVALUE)",
    "INSERT INTO parts VALUES (1,'2019-05-05'),(2,'2024-05-05')",
    "CREATE TABLE history (id INT PRIMARY KEY, v TEXT) WITH SYSTEM VERSIONING",
    "INSERT INTO history VALUES (1,'old'),(2,'gone')",
    "UPDATE history SET v='new' WHERE id=1",
    "DELETE FROM history WHERE id=2",
    "CREATE TABLE `select` (`from` INT PRIMARY KEY, `a``b` TEXT, ` ü` INT, `x.y` INT DEFAULT "
    "NEXTVAL(tickets))",
    "INSERT INTO `select` VALUES (1,'x',2,3)",
    "CREATE TABLE compressed (id INT PRIMARY KEY, v VARCHAR(500) COMPRESSED, b BLOB COMPRESSED) "
    "ROW_FORMAT=COMPRESSED",
    "INSERT INTO compressed VALUES (1, REPEAT('x',300), REPEAT('y',3000))",
    "CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2",
    "CREATE PROCEDURE proc(IN a INT) BEGIN\n DECLARE x INT; -- a comment;\n SET x = a;\n "
    "SELECT x, 'ü;';\nEND",
    "CREATE VIEW z_view AS SELECT id, twice(other) AS o FROM parent",
    "CREATE VIEW a_view AS SELECT v.id, 'ü' AS u FROM z_view v JOIN child c ON c.p = v.id",
    "CREATE TRIGGER trg BEFORE INSERT ON no_key FOR EACH ROW SET NEW.b = CONCAT(NEW.b, '!')",
    "CREATE TRIGGER trg2 BEFORE INSERT ON no_key FOR EACH ROW FOLLOWS trg SET NEW.a = NEW.a + 1",
    "CREATE EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO DELETE FROM "
    "no_key WHERE a < 0",
    "USE `odd``name.%`",
    "CREATE TABLE `tab/le` (`c` VARCHAR(10)) CHARACTER SET latin1",
    "INSERT INTO `tab/le` VALUES ('caf\xc3\xa9')",
    "CREATE TABLE `..` (a INT PRIMARY KEY)",
    "INSERT INTO `..` VALUES (1)",
};

}  // namespace

void make_nasty_schema(sql::MariadbConnection& connection) {
    for (const char* statement : kStatements) connection.execute(statement);
}

std::string checksums(sql::MariadbConnection& connection,
                      const std::vector<std::string>& databases) {
    std::string out;
    for (const std::string& database : databases)
        for (const sql::Row& row :
             connection.query("SHOW FULL TABLES FROM " + sql::quote_name(database) +
                              " WHERE Table_type IN ('BASE TABLE','SYSTEM VERSIONED')")) {
            auto sum = connection.query("CHECKSUM TABLE " + sql::quote_name(database, *row[0]));
            out += fmt::format("{} {}\n", *row[0], sum.at(0).at(1).value_or("NULL"));
        }
    return out;
}

}  // namespace sevenfold::database
