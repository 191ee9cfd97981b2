package raftnode

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/kv"
	"redhen/raftnode/vfs"
)

// waitingSpace is a space here with n writes that wait for other houses, each kept
// in the journal.
func waitingSpace(tb testing.TB, n int) (*Space, *replica) {
	tb.Helper()
	key, err := ident.NewKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	for _, sub := range []string{"journal", "shards"} {
		if err := os.Mkdir(dir+"/"+sub, 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	node := &Node{
		cfg: Config{Box: key.BoxID(), Dir: dir, Now: time.Now, FS: vfs.OS{}}, log: slog.New(slog.DiscardHandler), boot: 7,
		replicas: map[ident.ShardID]*replica{}, spaces: map[ident.ShardID]*Space{},
	}
	node.life, node.end = context.WithCancel(context.Background())
	tb.Cleanup(node.end)
	rep := &replica{n: node, shard: 5, change: make(chan struct{})}
	if rep.state, err = kv.Open(dir + "/shards/5.db"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { rep.state.Close() })
	if err := rep.state.Apply(1, 1, func(kv.Writer) error { return nil }); err != nil {
		tb.Fatal(err)
	}
	s := node.Space(5)
	tb.Cleanup(s.close)
	for i := range n {
		addWaiting(tb, s, i)
	}
	return s, rep
}

// addWaiting accepts and keeps one write.
func addWaiting(tb testing.TB, s *Space, i int) *pending {
	tb.Helper()
	p, err := s.accept("", catalog.Op{Kind: catalog.Mkdir, Dir: catalog.Root, Name: fmt.Sprintf("folder %06d", i), ModTime: 1})
	if err == nil {
		err = s.keep(p)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// BenchmarkReadWhileWritesWait reads one name while so many writes wait for another house.
func BenchmarkReadWhileWritesWait(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, rep := waitingSpace(b, n)
			for b.Loop() {
				r, err := s.answerHere(rep, readCallOf{Kind: readStat, Path: "folder 000003"})
				if err != nil || len(r.Entries) != 1 {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWriteAndReadWhileWritesWait adds one more write before each read, as a
// program that copies a folder does while the other houses are away.
func BenchmarkWriteAndReadWhileWritesWait(b *testing.B) {
	s, rep := waitingSpace(b, 1000)
	i := 1000
	for b.Loop() {
		addWaiting(b, s, i)
		if _, err := s.answerHere(rep, readCallOf{Kind: readStat, Path: fmt.Sprintf("folder %06d", i)}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkReadWhileKeeping reads while another program's writes are synced to the journal.
func BenchmarkReadWhileKeeping(b *testing.B) {
	s, rep := waitingSpace(b, 1)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop
		defer close(stopped)
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			p := addWaiting(b, s, i)
			s.settled(context.Background(), p, result{})
		}
	}()
	var worst time.Duration
	for b.Loop() {
		time.Sleep(time.Millisecond) // a person clicks
		began := time.Now()
		if _, err := s.answerHere(rep, readCallOf{Kind: readStat, Path: "folder 000000"}); err != nil {
			b.Fatal(err)
		}
		worst = max(worst, time.Since(began))
	}
	b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
	close(stop)
	<-stopped
}
