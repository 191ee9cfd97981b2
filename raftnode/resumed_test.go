package raftnode_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
)

// A journal forgets lazily: after a power cut a write may stand in it that was settled
// long ago. When its file has been removed and all its bytes are garbage since, it ends all
// the same, and nothing comes back.
func TestASettledWriteComesBackWhenItsBytesAreGone(t *testing.T) {
	inSweeper(t, 78, func(w *sweeper) {
		c := w.c.Box("c")
		file := filepath.Join(c.Dir(), "journal", w.files.String()+".db")
		w.c.Mesh.Partition([]ident.BoxID{c.Key.BoxID()})
		time.Sleep(time.Minute)
		if _, kept, err := c.Put(w.ctx, w.files, "f0", body(2)); err != nil || kept != 1 {
			w.Fatalf("kept in %d houses, %v", kept, err)
		}
		var before []byte
		onDisk := func(fn func([]byte)) {
			if err := c.Disk.Alter(file, fn); err != nil {
				w.Fatal(err)
			}
		}
		onDisk(func(b []byte) { before = bytes.Clone(b) })
		w.c.Mesh.Heal()
		w.settle()
		w.garbageGoes()
		if h := chunk.Sum(body(2)[:40_000]); here(c, h) {
			w.Fatal("its bytes are no garbage yet: this would prove nothing")
		}
		c.Crash()
		onDisk(func(b []byte) { clear(b[copy(b, before):]) })
		if err := c.Start(); err != nil {
			w.Fatal(err)
		}
		w.settle()
		if _, err := c.Stat(w.ctx, w.files, "f0"); err == nil {
			w.Error("what was removed is there again")
		}
	})
}
