package raftlog

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
)

// Entries are entries of shards, of each in the order of their indexes.
type Entries map[ident.ShardID][]*raftpb.Entry

// Salvage reads what can be read of a log that Open calls damaged: of each shard the entries that
// stand in it as the last ones of their index, in order, with gaps where something cannot be read.
// Whether an entry was committed, or dropped again by one that cannot be read, is not known: they are
// of use to a replica that decided alone. Nothing is changed. A directory that is not there has nothing.
func Salvage(cfg Config) (Entries, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg}
	defer l.closeFiles()
	if err := l.openFiles(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("salvage raft log %s: %w", cfg.Dir, err)
	}
	var scans []*scan
	for _, s := range l.spare {
		if err := s.identify(); err != nil {
			continue // nothing of it can be read
		}
		if sc, err := l.scan(s); err == nil {
			scans = append(scans, sc)
		}
	}
	slices.SortFunc(scans, func(a, b *scan) int { return cmp.Compare(a.seq, b.seq) })
	found := salvaged{}
	for _, sc := range scans {
		for _, b := range sc.batches {
			for _, r := range b.records {
				found.add(&r.record)
			}
		}
	}
	return found.inOrder(), nil
}

// salvaged are the entries of each shard by index.
type salvaged map[ident.ShardID]map[uint64]*raftpb.Entry

func (s salvaged) add(r *record) {
	switch r.Kind {
	case kindEntry, kindMoved:
		if s[r.Shard] == nil {
			s[r.Shard] = map[uint64]*raftpb.Entry{}
		}
		if r.Kind == kindEntry {
			maps.DeleteFunc(s[r.Shard], func(i uint64, _ *raftpb.Entry) bool { return i > r.Index })
		}
		e := r.entry()
		e.Data = slices.Clone(e.Data)
		s[r.Shard][r.Index] = e
	case kindSnapshot, kindForget:
		delete(s, r.Shard)
	}
}

func (s salvaged) inOrder() Entries {
	all := Entries{}
	for shard, entries := range s {
		for _, index := range slices.Sorted(maps.Keys(entries)) {
			all[shard] = append(all[shard], entries[index])
		}
	}
	return all
}
