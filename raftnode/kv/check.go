package kv

import (
	"bytes"
	"context"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"
)

// Check reads the file again from the disk, as far as the system allows, and
// verifies what Open verified, while the Store is used. ErrDamaged says that it has
// rotted since; the Store goes on as it is. What is applied and not flushed is not
// looked at. A file that must grow waits for it, and so does Replace.
func (s *Store) Check(ctx context.Context) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.db == nil {
		return ErrClosed
	}
	file, err := os.Open(s.path)
	if err != nil {
		return fmt.Errorf("check state file: %w", err)
	}
	defer file.Close()
	err = guard(func() error {
		return s.db.View(func(tx *bolt.Tx) error { return checkTables(ctx, file, tx) })
	})
	if err != nil {
		return fmt.Errorf("check state file: %w", err)
	}
	return nil
}

// checkTables verifies the pages of a transaction: as long as it is open, none of
// them is used for anything else.
func checkTables(ctx context.Context, file *os.File, tx *bolt.Tx) error {
	v := &verifier{stop: ctx.Err, file: file, end: uint64(tx.Size()) / pageSize, seen: map[uint64]struct{}{}}
	for _, name := range [][]byte{metaBucket, dataBucket} {
		b := tx.Bucket(name)
		if b == nil {
			return damaged("table %q", name)
		}
		if root := uint64(b.Root()); root != 0 {
			if err := v.page(root, bounds{}, 0, v.entry); err != nil {
				return err
			}
			continue
		}
		if err := checkInline(b, v.entry); err != nil {
			return err
		}
	}
	return nil
}

// checkInline verifies a table that is so small that it has no page of its own.
func checkInline(b *bolt.Bucket, leaf leafFunc) error {
	var last []byte
	return b.ForEach(func(key, value []byte) error {
		if last != nil && bytes.Compare(last, key) >= 0 {
			return damaged("order of key %x", key)
		}
		last = bytes.Clone(key)
		return leaf(value == nil, key, value)
	})
}
