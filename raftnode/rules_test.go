package raftnode_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/raftnodetest"
	"redhen/raftnode/transport"
)

// inThree runs a test in a circle of three houses with one space.
func inThree(t *testing.T, cfg raftnodetest.Config, fn func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID)) {
	inCircleOf(t, cfg, []string{"a", "b", "c"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 3)
		c.Mesh.SetLinks(transport.Link{Latency: 10 * time.Millisecond})
		fn(t, ctx, c, newSpace(t, ctx, c, 3))
	})
}

func wait(t *testing.T, ctx context.Context, what string, ok func() (bool, error)) {
	t.Helper()
	until(t, ctx, what, func() bool {
		good, err := ok()
		return good && err == nil
	})
}

func shardAt(t *testing.T, ctx context.Context, b *raftnodetest.Box, shard ident.ShardID) raftnode.ShardStatus {
	t.Helper()
	st, err := b.Node.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, sh := range st.Shards {
		if sh.Shard == shard {
			return sh
		}
	}
	return raftnode.ShardStatus{}
}

func leaderOf(t *testing.T, ctx context.Context, c *raftnodetest.Circle, shard ident.ShardID) *raftnodetest.Box {
	t.Helper()
	var found *raftnodetest.Box
	until(t, ctx, "a leader", func() bool {
		for _, b := range c.Up() {
			if shardAt(t, ctx, b, shard).Leads {
				found = b
			}
		}
		return found != nil
	})
	return found
}

// TestAnUnknownEntryStopsOneShard guards that an entry is never skipped, and that
// the other shards go on.
func TestAnUnknownEntryStopsOneShard(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		other, err := c.Box("a").NewSpace(ctx, "other")
		if err != nil {
			t.Fatal(err)
		}
		waitVoters(t, ctx, c, other, 3)
		mustPut(t, ctx, c.Box("a"), space, "before", []byte("1"))
		if err := leaderOf(t, ctx, c, space).Node.ProposeRaw(space, 77, []byte("from the future")); err != nil {
			t.Fatal(err)
		}
		for _, b := range c.All() {
			until(t, ctx, "the shard stopped at "+b.Name, func() bool {
				return strings.Contains(shardAt(t, ctx, b, space).Failed, "does not know")
			})
			mustPut(t, ctx, b, other, "at "+b.Name, []byte("goes on"))
		}
		for _, b := range c.All() { // and it is not skipped by a restart
			b.Crash()
			if err := b.Start(); err != nil {
				t.Fatal(err)
			}
		}
		for _, b := range c.All() {
			until(t, ctx, "the shard stopped again at "+b.Name, func() bool {
				return strings.Contains(shardAt(t, ctx, b, space).Failed, "does not know")
			})
			mustPut(t, ctx, b, other, "again at "+b.Name, []byte("goes on"))
		}
	})
}

// TestAStoppedReplicaAsksTheOthers guards that a box whose own replica stopped
// still reads and writes the space.
func TestAStoppedReplicaAsksTheOthers(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		b := leaderOf(t, ctx, c, space)
		mustPut(t, ctx, b, space, "before", []byte("1"))
		b.Node.StopReplica(space, errors.New("stopped by the test"))
		mustPut(t, ctx, b, space, "while a leader is found", []byte("2"))
		wait(t, ctx, "settled", func() (bool, error) { return c.Settled(ctx, space) })
		if kept := mustPut(t, ctx, b, space, "after", []byte("2")); kept < 2 {
			t.Errorf("kept in %d houses, want 2: the others work", kept)
		}
		mustGet(t, ctx, b, space, "after", []byte("2"))
		mustGet(t, ctx, b, space, "before", []byte("1"))
	})
}

func TestARepeatedWriteIsAppliedOnce(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a := c.Box("a")
		w := catalog.Write{ID: catalog.WriteID{Box: a.Key.BoxID(), Inc: 5, Seq: 1}, Op: mkdir("once"), Author: a.Account}
		first, err := a.Node.SettleAgain(ctx, space, w)
		if err != nil || first.Status != catalog.Done {
			t.Fatal(first, err)
		}
		if _, _, err := a.Remove(ctx, space, "once"); err != nil {
			t.Fatal(err)
		}
		again, err := a.Node.SettleAgain(ctx, space, w)
		if err != nil || again != first {
			t.Errorf("the second time: got %+v, %v; want %+v", again, err, first)
		}
		if _, err := a.Stat(ctx, space, "once"); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("it took effect again: %v", err)
		}
	})
}

// TestAWriteDecidedBeforeIsKeptWhereItsBytesAre: who offers it again is not told of more
// houses than have its bytes, however many vote by now.
func TestAWriteDecidedBeforeIsKeptWhereItsBytesAre(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a := c.Box("a")
		wait(t, ctx, "settled", func() (bool, error) { return c.Settled(ctx, space) })
		op, err := a.PutOp(ctx, space, "film", bytes.Repeat([]byte("cluck "), 50_000))
		if err != nil {
			t.Fatal(err)
		}
		w := catalog.Write{ID: catalog.WriteID{Box: a.Key.BoxID(), Inc: 5, Seq: 1}, Op: op, Author: a.Account}
		for _, tt := range []struct{ at, want int }{{3, 2}, {1, 1}, {0, 1}, {2, 2}} {
			if kept, err := a.Node.SettleHeld(ctx, space, w, tt.at); err != nil || kept != tt.want {
				t.Errorf("bytes at %d boxes: kept in %d houses, %v; want %d", tt.at, kept, err, tt.want)
			}
		}
	})
}

// TestAnIdleCircleSendsOnlyBeats guards that idle shards cost no traffic.
func TestAnIdleCircleSendsOnlyBeats(t *testing.T) {
	const shards, minutes = 50, 5
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, _ ident.ShardID) {
		for i := range shards - 2 {
			if _, err := c.All()[i%3].NewSpace(ctx, fmt.Sprintf("space-%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		until(t, ctx, "all sleep", func() bool { return allAsleep(t, ctx, c, shards) })
		a, b := c.Box("a").Key.BoxID(), c.Box("b").Key.BoxID()
		before := c.Mesh.Traffic(a, b)
		time.Sleep(minutes * time.Minute)
		after := c.Mesh.Traffic(a, b)
		frames, bytes := after.Frames-before.Frames, after.FrameBytes-before.FrameBytes
		t.Logf("%d shards, %d minutes: %d frames, %d bytes from one box to another", shards, minutes, frames, bytes)
		if frames > minutes*60+2 || bytes > frames*100 {
			t.Errorf("%d frames of %d bytes in %d minutes, want one beat a second", frames, bytes, minutes)
		}
		if streams := after.Streams - before.Streams; streams > 0 {
			t.Errorf("%d streams, want none", streams)
		}
	})
}

func allAsleep(t *testing.T, ctx context.Context, c *raftnodetest.Circle, shards int) bool {
	t.Helper()
	for _, b := range c.Up() {
		st, err := b.Node.Status(ctx)
		if err != nil || len(st.Shards) != shards {
			return false
		}
		for _, sh := range st.Shards {
			if !sh.Asleep {
				return false
			}
		}
	}
	return true
}

// TestADigestThatDiffersWakes guards that a replica that is awake alone, as one that
// missed the word to sleep, does not stay so.
func TestADigestThatDiffersWakes(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		until(t, ctx, "all sleep", func() bool { return allAsleep(t, ctx, c, 2) })
		term := shardAt(t, ctx, c.Box("a"), space).Term
		for _, b := range c.All() {
			b.Node.WakeAlone(space)
			time.Sleep(500 * time.Millisecond)
			until(t, ctx, "all sleep again", func() bool { return allAsleep(t, ctx, c, 2) })
		}
		if now := shardAt(t, ctx, c.Box("a"), space).Term; now != term {
			t.Errorf("term %d became %d: waking must not cost an election", term, now)
		}
	})
}

// TestOnlyAWholeReplicaIsPromoted guards that a box that lacks bytes gets no vote.
func TestOnlyAWholeReplicaIsPromoted(t *testing.T) {
	inCircle(t, []string{"a", "b"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 2)
		space := newSpace(t, ctx, c, 2)
		mustPut(t, ctx, c.Box("a"), space, "large", pattern(5<<20))
		c.Mesh.SetLinks(transport.Link{Latency: 10 * time.Millisecond}) // nothing comes before the disk is full
		third, err := c.Add(ctx, "c", "c house")
		if err != nil {
			t.Fatal(err)
		}
		third.Disk.SetFull(true)
		until(t, ctx, "c holds a replica", func() bool { return shardAt(t, ctx, third, space).Applied > 1 })
		time.Sleep(time.Minute)
		if !shardAt(t, ctx, third, space).Owes {
			t.Error("c has no room for the bytes, and does not say that it owes them")
		}
		if ok, _ := c.Voters(ctx, space, "a", "b"); !ok {
			t.Error("c votes, and owes")
		}
		third.Disk.SetFull(false)
		waitVoters(t, ctx, c, space, 3)
		if sh := shardAt(t, ctx, third, space); sh.Owes {
			t.Error("c votes, and owes")
		}
	})
}

// TestAVoteOutlivesARestart guards that who voted in a term knows it after a power cut.
func TestAVoteOutlivesARestart(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		vote := func(b *raftnodetest.Box) (term, vote uint64) {
			hs, _, err := b.Log.Shard(space).InitialState()
			if err != nil {
				t.Fatal(err)
			}
			return hs.GetTerm(), hs.GetVote()
		}
		voted := 0
		for _, b := range c.All() {
			term, before := vote(b)
			b.CutPower()
			if err := b.Start(); err != nil {
				t.Fatal(err)
			}
			if again, after := vote(b); again != term || after != before {
				t.Errorf("%s voted for %d in term %d, and for %d in term %d after a restart", b.Name, before, term, after, again)
			}
			if before != 0 {
				voted++
			}
		}
		if voted < 2 {
			t.Errorf("%d of three have voted, and there is a leader", voted)
		}
	})
}

// TestASwapIsOneJointChange guards that a replacement never lowers the number of voters.
func TestASwapIsOneJointChange(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		mustPut(t, ctx, c.Box("b"), space, "x", pattern(100_000))
		if err := c.Box("a").Burn(); err != nil {
			t.Fatal(err)
		}
		d, err := c.Add(ctx, "d", "d house")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Gone(ctx, "a", d.Key.BoxID()); err != nil {
			t.Fatal(err)
		}
		wait(t, ctx, "d votes", func() (bool, error) { return c.Voters(ctx, space, "b", "c", "d") })
		joint := 0
		for _, l := range c.Said.Of("", "conf change proposed") {
			if !strings.Contains(l.Attrs, space.String()) {
				continue
			}
			_, change, _ := strings.Cut(l.Attrs, "change=")
			if strings.Contains(change, "r") && !strings.Contains(change, "v") {
				t.Errorf("a voter was removed alone: %s", change)
			}
			if strings.Contains(change, "r") && strings.Contains(change, "v") {
				joint++
			}
		}
		if joint == 0 {
			t.Error("no change put one voter in the place of another")
		}
	})
}

// TestASnapshotIsResumed guards that a large state that was cut off on its way is
// not sent again from its beginning.
func TestASnapshotIsResumed(t *testing.T) {
	inThree(t, raftnodetest.Config{KeepEntries: 4, CutEntries: 8}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		late := c.Box("c")
		late.Crash()
		for i := range 200 {
			mustPut(t, ctx, c.Box("a"), space, fmt.Sprintf("f%d", i), append(pattern(15_000), byte(i), byte(i>>8)))
		}
		from := leaderOf(t, ctx, c, space)
		for _, b := range []*raftnodetest.Box{c.Box("a"), c.Box("b")} {
			c.Mesh.SetUpload(b.Key.BoxID(), 120_000)
		}
		time.Sleep(10 * time.Second) // the log is cut
		if err := late.Start(); err != nil {
			t.Fatal(err)
		}
		have := int64(0)
		for i := range 2 { // what was on its way at a cut still fills the thin line for seconds
			time.Sleep(12 * time.Second)
			c.Mesh.Cut(from.Key.BoxID(), late.Key.BoxID())
			time.Sleep(300 * time.Millisecond)
			now := received(t, late, space)
			if now <= have {
				t.Errorf("at cut %d there are %d bytes of the state, before it were %d", i+1, now, have)
			}
			have = now
			c.Mesh.Mend(from.Key.BoxID(), late.Key.BoxID())
		}
		wait(t, ctx, "complete", func() (bool, error) { return c.Complete(ctx, space) })
		wait(t, ctx, "the same", func() (bool, error) { return c.Same(space) })
	})
}

// received returns how much of a snapshot has come.
func received(t *testing.T, b *raftnodetest.Box, space ident.ShardID) (size int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(b.Dir(), "shards", space.String()+"-*.db.received-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

// TestALostAnswerToASnapshotIsNoEnd guards that a leader does not wait for an answer
// that was lost on its way.
func TestALostAnswerToASnapshotIsNoEnd(t *testing.T) {
	inThree(t, raftnodetest.Config{KeepEntries: 4, CutEntries: 8}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		late := c.Box("c")
		late.Crash()
		for i := range 60 {
			mustPut(t, ctx, c.Box("a"), space, fmt.Sprintf("f%d", i), []byte("x"))
		}
		time.Sleep(10 * time.Second) // the log is cut
		var cut atomic.Bool
		c.Mesh.SetFilter(func(from, _ ident.BoxID, _ []byte) bool { return !cut.Load() || from != late.Key.BoxID() })
		if err := late.Start(); err != nil {
			t.Fatal(err)
		}
		for shardAt(t, ctx, late, space).Applied < 60 {
			if ctx.Err() != nil {
				t.Fatal("the snapshot never came")
			}
			cut.Store(len(snapshotsOf(c, space)) > 0)
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Second)
		cut.Store(false)
		mustPut(t, ctx, c.Box("a"), space, "more", []byte("y"))
		wait(t, ctx, "complete", func() (bool, error) { return c.Complete(ctx, space) })
	})
}

// TestALostSnapshotMessageIsNoEnd guards the same for the message that tells of it.
func TestALostSnapshotMessageIsNoEnd(t *testing.T) {
	inThree(t, raftnodetest.Config{KeepEntries: 4, CutEntries: 8}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		late := c.Box("c")
		late.Crash()
		for i := range 60 {
			mustPut(t, ctx, c.Box("a"), space, fmt.Sprintf("f%d", i), []byte("x"))
		}
		time.Sleep(10 * time.Second) // the log is cut
		var lost atomic.Int64
		c.Mesh.SetFilter(func(_, to ident.BoxID, _ []byte) bool {
			drop := to == late.Key.BoxID() && len(snapshotsOf(c, space)) == 1 && lost.Load() == 0
			if drop {
				lost.Add(1)
			}
			return !drop
		})
		if err := late.Start(); err != nil {
			t.Fatal(err)
		}
		wait(t, ctx, "complete", func() (bool, error) { return c.Complete(ctx, space) })
		if lost.Load() != 1 {
			t.Error("no message was lost")
		}
	})
}

func snapshotsOf(c *raftnodetest.Circle, space ident.ShardID) []raftnodetest.Line {
	return slices.DeleteFunc(c.Said.Of("", "sending snapshot"), func(l raftnodetest.Line) bool {
		return !strings.Contains(l.Attrs, space.String())
	})
}

// TestAFlippedByteInAChunkHealsFromAnotherHouse is a read of a damaged chunk.
func TestAFlippedByteInAChunkHealsFromAnotherHouse(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		mustPut(t, ctx, c.Box("a"), space, "photo", pattern(2<<20))
		wait(t, ctx, "complete", func() (bool, error) { return c.Complete(ctx, space) })
		b := c.Box("b")
		flipChunks(t, b)
		mustGet(t, ctx, b, space, "photo", pattern(2<<20))
		if sh := shardAt(t, ctx, b, space); sh.Mended == 0 || sh.Failed != "" {
			t.Errorf("status: mended %d, stopped %q; want mended chunks", sh.Mended, sh.Failed)
		}
		c.Mesh.Partition([]ident.BoxID{b.Key.BoxID()})
		mustGet(t, ctx, b, space, "photo", pattern(2<<20)) // it is whole here again
	})
}

func flipChunks(t *testing.T, b *raftnodetest.Box) {
	t.Helper()
	files := b.ChunkFiles()
	for _, f := range files {
		if err := b.Disk.Alter(f, func(data []byte) { data[len(data)/2] ^= 1 }); err != nil {
			t.Fatal(err)
		}
	}
	if len(files) == 0 {
		t.Fatal("no chunks")
	}
}

// TestAFullDiskRefusesAndGoesOn guards that a box without room says so, loses
// nothing, and goes on when there is room.
func TestAFullDiskRefusesAndGoesOn(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a := c.Box("a")
		mustPut(t, ctx, a, space, "before", pattern(1<<20))
		wait(t, ctx, "complete", func() (bool, error) { return c.Complete(ctx, space) })
		for _, b := range c.All() {
			b.Disk.SetFull(true)
		}
		if _, _, err := a.Put(ctx, space, "large", append(pattern(3<<20), 1)); !errors.Is(err, chunk.ErrFull) {
			t.Errorf("a large file on a full disk: %v, want chunk.ErrFull", err)
		}
		mustGet(t, ctx, a, space, "before", pattern(1<<20))
		c.Box("b").Disk.SetFull(false)
		for _, b := range c.All() {
			b.Disk.SetFull(false)
		}
		mustPut(t, ctx, a, space, "large", append(pattern(3<<20), 1))
		wait(t, ctx, "complete", func() (bool, error) { return c.Complete(ctx, space) })
		for _, b := range c.All() {
			mustGet(t, ctx, b, space, "large", append(pattern(3<<20), 1))
		}
	})
}

// TestAFullHouseDoesNotStopTheOthers guards that one full house costs nobody else
// anything, follower or leader; that it says so at once instead of keeping people
// waiting; and that it goes on by itself, without a restart.
func TestAFullHouseDoesNotStopTheOthers(t *testing.T) {
	for name, leads := range map[string]bool{"follower": false, "leader": true} {
		t.Run(name, func(t *testing.T) {
			inThree(t, raftnodetest.Config{KeepEntries: 2000, CutEntries: 16}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
				fillOne(t, ctx, c, space, leads)
			})
		})
	}
}

func fillOne(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID, leads bool) {
	full := leaderOf(t, ctx, c, space)
	i := slices.Index(c.All(), full)
	other := c.All()[(i+1)%3]
	if !leads {
		full, other = other, full
	}
	full.Disk.SetFull(true)
	files := 0
	for ; !full.Log.Full() || files < 150; files++ {
		if files > 1000 {
			t.Fatal("the log never needed room: this test has lost its point")
		}
		kept := 1
		for try := 0; kept < 2 && try < 3; try++ { // while a full leader hands over, a write may be kept here first
			kept = mustPut(t, ctx, other, space, fmt.Sprintf("f%d", files), append(pattern(14_000), byte(files)))
		}
		if kept < 2 && !full.Log.Full() {
			t.Fatalf("f%d: kept in %d houses", files, kept)
		}
	}
	wait(t, ctx, "a leader with room", func() (bool, error) {
		if !leads {
			return true, nil
		}
		third := c.All()[3-i-slices.Index(c.All(), other)]
		return c.Led(ctx, space, other.Name, third.Name)
	})
	if kept := mustPut(t, ctx, other, space, "meanwhile", []byte("meanwhile")); kept < 2 {
		t.Errorf("meanwhile: kept in %d houses", kept)
	}
	begun := time.Now()
	if _, _, err := full.Put(ctx, space, "small", []byte("small")); !errors.Is(err, chunk.ErrFull) || time.Since(begun) > time.Second {
		t.Errorf("a small file at the full box: %v after %v, want chunk.ErrFull at once", err, time.Since(begun))
	}
	mustGet(t, ctx, full, space, "f0", append(pattern(14_000), 0))
	if err := full.Ended(); err != nil {
		t.Fatalf("the full box ended: %v", err)
	}
	full.Disk.SetFull(false)
	wait(t, ctx, "complete", func() (bool, error) { return c.Complete(ctx, space) })
	wait(t, ctx, "the same", func() (bool, error) { return c.Same(space) })
	mustPut(t, ctx, full, space, "small", []byte("small"))
	mustGet(t, ctx, full, space, "meanwhile", []byte("meanwhile"))
}
