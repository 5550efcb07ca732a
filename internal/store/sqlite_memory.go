package store

import (
	"sync"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// thriftySQLite stops SQLite from mapping and unmapping memory at every statement,
// which took more of the processor's time than the statements themselves. Its
// settings belong to the whole process and must precede the first database; later
// on, SQLite ignores them.
var thriftySQLite = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	defer tls.Close()
	smallStatementJournals(tls)
	keepMemory(tls)
})

// smallStatementJournals has SQLite keep what it needs to undo a single statement
// in small pieces of memory. By default it asks for 64 KiB at a time, which the
// allocator maps and unmaps by itself.
func smallStatementJournals(tls *libc.TLS) {
	const small = -1 // about 1 KiB each
	args := libc.NewVaList(int32(small))
	defer libc.Xfree(tls, args)
	sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_STMTJRNL_SPILL, args)
}

// keepMemory keeps 2.5 MiB of the allocator's pages in use. It divides a page into
// blocks of one size, and unmaps the page when the last of them is freed, so that
// one statement after another maps the same page again. A block that is never freed
// prevents that.
func keepMemory(tls *libc.TLS) {
	const (
		page              = 64 << 10
		pages             = 8 // of each size
		smallest, largest = 1 << 10, 16 << 10
	)
	for size := uintptr(smallest); size <= largest; size *= 2 {
		kept := map[uintptr]bool{}
		var spare []uintptr
		for len(kept) < pages {
			block := libc.Xmalloc(tls, libc.Tsize_t(size))
			if block == 0 {
				break // no memory, as SQLite will say when it needs it
			}
			if start := block &^ (page - 1); kept[start] {
				spare = append(spare, block)
			} else {
				kept[start] = true
			}
		}
		for _, block := range spare {
			libc.Xfree(tls, block)
		}
	}
}
