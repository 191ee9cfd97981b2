package raftnode

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"go.etcd.io/raft/v3"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/kv"
	"redhen/raftnode/manifest"
	"redhen/raftnode/raftlog"
	"redhen/raftnode/transport"
)

// lone is one Node on a network with boxes that say only what a test says for them.
type lone struct {
	*Node
	t    *testing.T
	dir  string
	mesh *transport.Mesh
	log  *raftlog.Log
	end  func() error // what Run returned
}

func boxNamed(t *testing.T, name string) ident.Key {
	seed := sha256.Sum256([]byte(name))
	k, err := ident.KeyFromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// alone runs a test with a Node in simulated time.
func alone(t *testing.T, fn func(t *testing.T, n *lone)) {
	synctest.Test(t, func(t *testing.T) {
		n := &lone{t: t, dir: t.TempDir(), mesh: transport.NewMesh(1)}
		n.start()
		fn(t, n)
		if err := n.end(); err != nil {
			t.Errorf("the box ended: %v", err)
		}
		n.mesh.Close()
	})
}

func (n *lone) start() {
	n.t.Helper()
	logger := slog.New(slog.DiscardHandler)
	if os.Getenv("REDHEN_TEST_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var err error
	if n.log, err = raftlog.Open(raftlog.Config{Dir: filepath.Join(n.dir, "raftlog"), SegmentBytes: 64 << 10}); err != nil {
		n.t.Fatal(err)
	}
	chunks, err := chunk.Open(chunk.Config{Dir: filepath.Join(n.dir, "chunks")})
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	logCtx, endLog := context.WithCancel(context.Background())
	logEnded := make(chan error, 1)
	go func() { logEnded <- n.log.Run(logCtx) }()
	key := boxNamed(n.t, "here")
	n.Node, err = Open(Config{
		Box: key.BoxID(), Dir: n.dir, Log: n.log, Chunks: chunks, Net: n.mesh.Join(key.BoxID()), Logger: logger,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Node.Run(ctx) }()
	n.end = func() error {
		cancel()
		err := <-ended
		endLog()
		<-logEnded
		n.mesh.Leave(key.BoxID())
		return errors.Join(err, chunks.Close())
	}
}

// do runs fn on the loop, and waits for it.
func (n *lone) do(fn func()) {
	n.t.Helper()
	done := make(chan struct{})
	n.mail.put(func() {
		defer close(done)
		fn()
	})
	select {
	case <-done:
	case <-time.After(time.Minute):
		n.t.Fatal("the loop stands still")
	}
}

// shard begins a shard with replica 1 here as its voter, and others as learners 2, 3, ….
func (n *lone) shard(id ident.ShardID, others ...ident.BoxID) *group {
	n.t.Helper()
	m := members{conf: &pb.ConfState{Voters: []uint64{1}}, boxes: map[ident.ReplicaID]ident.BoxID{1: n.cfg.Box}}
	for i, box := range others {
		m.conf.Learners = append(m.conf.Learners, uint64(i+2))
		m.boxes[ident.ReplicaID(i+2)] = box
	}
	if err := n.begin(n.t.Context(), id, 1, &m); err != nil {
		n.t.Fatal(err)
	}
	time.Sleep(time.Second) // simulated
	var g *group
	n.do(func() { g = n.groups[id] })
	return g
}

// synced waits for everything that was given to the raft log.
func (n *lone) synced() {
	done := make(chan error, 1)
	n.log.Submit(raftlog.Write{Shard: 99, Done: func(err error) { done <- err }})
	<-done
}

func TestAReplicaThatWasGivenUpWritesNothingMore(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		g := n.shard(7)
		n.do(func() {
			if err := g.rn.Propose(entry{Kind: entryWrite, Body: []byte("x")}.encode()); err != nil {
				t.Error(err)
			}
			g.touch()
			n.giveUp(g)
		})
		time.Sleep(time.Second)
		n.synced()
		if hs, _, _ := n.log.Shard(7).InitialState(); hs != nil {
			t.Errorf("the shard's log has %v after it was forgotten", hs)
		}
		if last, _ := n.log.Shard(7).LastIndex(); last != 0 {
			t.Errorf("the shard's log has entries up to %d", last)
		}
	})
}

func TestMessagesThatNoBoxMaySendAreRefused(t *testing.T) {
	other, third := boxNamed(t, "other").BoxID(), boxNamed(t, "third").BoxID()
	bad := map[string]struct {
		from ident.BoxID
		m    *pb.Message
	}{
		"word of a disk": {other, &pb.Message{
			Type: pb.MsgStorageApplyResp.Enum(), From: proto.Uint64(raft.LocalApplyThread),
			Entries: []*pb.Entry{{Index: proto.Uint64(1 << 40), Term: proto.Uint64(1)}},
		}},
		"synced by nobody": {other, &pb.Message{
			Type: pb.MsgStorageAppendResp.Enum(), From: proto.Uint64(raft.LocalAppendThread), Index: proto.Uint64(9), LogTerm: proto.Uint64(1),
		}},
		"proposal":            {other, &pb.Message{Type: pb.MsgProp.Enum(), From: proto.Uint64(2), Entries: []*pb.Entry{{Data: []byte("poison")}}}},
		"another's replica":   {third, &pb.Message{Type: pb.MsgHeartbeat.Enum(), From: proto.Uint64(2), Term: proto.Uint64(1000)}},
		"our own replica":     {third, &pb.Message{Type: pb.MsgHeartbeat.Enum(), From: proto.Uint64(1), Term: proto.Uint64(1000)}},
		"nobody's":            {third, &pb.Message{Type: pb.MsgHeartbeat.Enum(), Term: proto.Uint64(1000)}},
		"to an older era":     {other, &pb.Message{Type: pb.MsgHeartbeat.Enum(), From: proto.Uint64(2), Term: proto.Uint64(1000), To: proto.Uint64(99)}},
		"transfer of a stage": {other, &pb.Message{Type: pb.MsgTransferLeader.Enum(), From: proto.Uint64(2), Term: proto.Uint64(1)}},
	}
	for name, b := range bad {
		t.Run(name, func(t *testing.T) {
			alone(t, func(t *testing.T, n *lone) {
				g := n.shard(7, other)
				var before, after raft.BasicStatus
				n.do(func() { before = g.rn.BasicStatus() })
				n.do(func() {
					if b.m.To == nil {
						b.m.To = proto.Uint64(1)
					}
					g.step(b.from, b.m)
				})
				time.Sleep(time.Second)
				n.do(func() { after = g.rn.BasicStatus() })
				if err := g.rep.failure(); err != nil {
					t.Errorf("the shard stopped: %v", err)
				}
				if after.GetTerm() != before.GetTerm() || after.GetCommit() != before.GetCommit() || after.RaftState != before.RaftState {
					t.Errorf("it had an effect: %v, then %v", before, after)
				}
			})
		})
	}
}

func TestWhatRaftCannotTakeStopsOneShardOnly(t *testing.T) {
	other := boxNamed(t, "other").BoxID()
	alone(t, func(t *testing.T, n *lone) {
		g, whole := n.shard(7, other), n.shard(8, other)
		n.do(func() {
			g.step(other, &pb.Message{ // raft reads eight bytes of it
				Type: pb.MsgHeartbeatResp.Enum(), From: proto.Uint64(2), To: proto.Uint64(1), Context: []byte{1, 2, 3},
				Term: proto.Uint64(g.rn.BasicStatus().GetTerm()),
			})
		})
		if err := g.rep.failure(); err == nil || !strings.Contains(err.Error(), other.Short()) {
			t.Errorf("the shard: got %v, want that it could not take a message of %s", err, other.Short())
		}
		if err := whole.rep.failure(); err != nil {
			t.Errorf("the other shard: %v", err)
		}
	})
}

func TestMembersChangedBeforeASnapshotAreNotAppliedAfterIt(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		g := n.shard(7)
		n.do(func() { // raft has taken a snapshot's membership; an older change comes from the applier
			g.installing = true
			g.applied([]*pb.ConfChangeV2{{}}, 2, nil) // leaves a joint membership, which there is none
			g.installing = false
		})
	})
}

func TestACopyOfTheSameStateMayBeMadeTwice(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		g := n.shard(7)
		for range 2 {
			made := make(chan stateReply, 1)
			g.rep.work.put(func() { made <- g.rep.offerState(1) })
			if r := <-made; !r.Have {
				t.Fatal("no copy")
			}
			if _, err := os.Stat(g.rep.snapshot.path); err != nil {
				t.Fatal(err)
			}
			time.Sleep(snapshotHold + time.Second)
		}
	})
}

func TestACopyOnItsWayIsKept(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		g := n.shard(7)
		made := make(chan stateReply, 1)
		g.rep.work.put(func() { made <- g.rep.offerState(1) })
		<-made
		n.do(func() {
			g.rep.snapshot.made = n.now().Add(-time.Hour)
			g.rep.dropSnapshot(true)
		})
		if _, err := g.rep.ownSnapshot(); err != nil {
			t.Errorf("the copy that is sent is not the one that others get: %v", err)
		}
	})
}

// waitingStream is a stream whose reader does not read.
type waitingStream struct {
	transport.Stream
	question []byte
	writing  chan struct{}
	wait     chan struct{}
}

func (s *waitingStream) Read(b []byte) (int, error) {
	k := copy(b, s.question)
	s.question = s.question[k:]
	return k, nil
}

func (s *waitingStream) Write(b []byte) (int, error) {
	close(s.writing)
	<-s.wait
	return 0, errors.New("cut")
}
func (s *waitingStream) SetDeadline(time.Time) error { return nil }

func TestASlowBoxThatAsksForAStateHoldsNobodyUp(t *testing.T) {
	other := boxNamed(t, "other").BoxID()
	alone(t, func(t *testing.T, n *lone) {
		g := n.shard(7, other)
		var question strings.Builder
		if err := wire.Write(&question, stateCall{Shard: 7}); err != nil {
			t.Fatal(err)
		}
		s := &waitingStream{question: []byte(question.String()), writing: make(chan struct{}), wait: make(chan struct{})}
		go n.serveState(t.Context(), other, s)
		<-s.writing
		if !g.rep.mu.TryLock() {
			t.Error("the replica is locked while the answer is sent")
		} else {
			g.rep.mu.Unlock()
		}
		close(s.wait)
	})
}

func TestABoxWithoutAReplicaGetsNoState(t *testing.T) {
	other, third := boxNamed(t, "other").BoxID(), boxNamed(t, "third").BoxID()
	alone(t, func(t *testing.T, n *lone) {
		n.shard(7, other)
		net := n.mesh.Join(third)
		s, err := net.Dial(t.Context(), n.cfg.Box, serviceState)
		if err != nil {
			t.Fatal(err)
		}
		var r stateReply
		if err := errors.Join(wire.Write(s, stateCall{Shard: 7}), s.CloseWrite(), wire.Read(s, 0, &r)); err != nil {
			t.Fatal(err)
		}
		if r.Have {
			t.Error("a box that does not hold the shard was offered its state")
		}
	})
}

func TestANewLeadersSnapshotTakesThePlaceOfOneThatStalls(t *testing.T) {
	old, fresh := boxNamed(t, "old").BoxID(), boxNamed(t, "fresh").BoxID()
	alone(t, func(t *testing.T, n *lone) {
		n.mesh.Join(old)
		n.mesh.Join(fresh)
		n.mesh.Cut(old, n.cfg.Box)
		if err := n.begin(t.Context(), 7, 4, nil); err != nil {
			t.Fatal(err)
		}
		snap := func(from ident.BoxID, term uint64) *pb.Message {
			return &pb.Message{
				Type: pb.MsgSnap.Enum(), From: proto.Uint64(term), To: proto.Uint64(4), Term: proto.Uint64(term),
				Snapshot: &pb.Snapshot{
					Data: wire.MustMarshal(snapshotRef{Box: from, Name: "x", Size: 1 << 20}),
					Metadata: &pb.SnapshotMetadata{
						Index: proto.Uint64(50 + term), Term: proto.Uint64(1), ConfState: &pb.ConfState{Voters: []uint64{5}, Learners: []uint64{4}},
					},
				},
			}
		}
		n.do(func() { n.groups[7].step(old, snap(old, 5)) })
		n.do(func() { n.groups[7].step(fresh, snap(fresh, 6)) })
		synctest.Wait()
		n.do(func() {
			if f := n.groups[7].fetching; f == nil || f.from != fresh {
				t.Errorf("it is not fetched from the new leader: %+v", f)
			}
		})
	})
}

// worn begins a shard here, has entries applied, and makes the log forget the first of them.
func (n *lone) worn(id ident.ShardID) {
	n.t.Helper()
	g := n.shard(id)
	for range 20 {
		n.do(func() { _ = g.rn.Propose(nil); g.touch() })
		time.Sleep(time.Second)
	}
	done := make(chan error, 1)
	g.rep.work.put(func() {
		g.rep.flushNow()
		done <- n.log.Compact(id, appliedIndex(g.rep.state)-2)
	})
	if err := <-done; err != nil {
		n.t.Fatal(err)
	}
}

func TestAnEmptyStateDoesNotGoOnWithALogThatBeginsLater(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		n.worn(7)
		path := n.statePath(7, 1)
		if err := n.end(); err != nil {
			t.Fatal(err)
		}
		// What a power cut leaves after a damaged state was set aside and before another came.
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		s, err := kv.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			n.start()
			if err := n.replica(7).failure(); !errors.Is(err, ErrStateDamaged) {
				t.Errorf("the replica: got %v, want ErrStateDamaged", err)
			}
			n.do(func() {
				if n.groups[7] != nil {
					t.Error("raft runs on a state that lacks what the log forgot")
				}
			})
			if err := n.end(); err != nil {
				t.Fatal(err)
			}
		}
		n.start()
	})
}

func TestAReplicaWithoutItsLogAndStateNeverVotesAgain(t *testing.T) {
	for name, lose := range map[string]func(n *lone) error{
		"both, by hand": func(n *lone) error {
			return errors.Join(os.RemoveAll(filepath.Join(n.dir, "raftlog")), os.Remove(n.statePath(7, 1)))
		},
		"state, then log": func(n *lone) error {
			return errors.Join(os.RemoveAll(filepath.Join(n.dir, "raftlog")), os.WriteFile(n.statePath(7, 1), []byte("not a state"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t, func(t *testing.T, n *lone) {
				n.worn(7)
				if err := n.end(); err != nil {
					t.Fatal(err)
				}
				if err := lose(n); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					n.start()
					n.do(func() { // what the placement asks for at every start
						if n.replica(7) == nil {
							if err := n.create(7, 1, firstMembers(nil, 1)); err != nil {
								t.Error(err)
							}
						}
						if n.groups[7] != nil {
							t.Error("raft runs under a number whose votes are lost")
						}
					})
					if err := n.replica(7).failure(); !errors.Is(err, ErrLogLost) {
						t.Errorf("the replica: got %v, want ErrLogLost", err)
					}
					if err := n.end(); err != nil {
						t.Fatal(err)
					}
				}
				n.start()
			})
		})
	}
}

func TestALostStateDoesNotCostTheVotes(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		n.worn(7)
		if err := n.end(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(n.statePath(7, 1)); err != nil {
			t.Fatal(err)
		}
		n.start()
		n.do(func() {
			if err := n.create(7, 1, nil); err != nil {
				t.Error(err)
			}
		})
		if err := n.replica(7).failure(); !errors.Is(err, ErrStateDamaged) {
			t.Errorf("the replica: got %v, want ErrStateDamaged", err)
		}
		if last, _ := n.log.Shard(7).LastIndex(); last < 20 {
			t.Errorf("the log ends at %d: it was forgotten", last)
		}
	})
}

func TestASnapshotsResetOverALongerLogGoesOnAfterAPowerCut(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		n.worn(7)
		rep := n.replica(7)
		index, _ := rep.state.Applied()
		if err := n.end(); err != nil {
			t.Fatal(err)
		}
		// The state of a snapshot is in place, the log still has entries of an
		// earlier term that nobody committed.
		s, err := kv.Open(rep.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(rep.beginReset(index+1), s.Apply(index+1, 500, func(kv.Writer) error { return nil }), s.Close()); err != nil {
			t.Fatal(err)
		}
		log, err := raftlog.Open(raftlog.Config{Dir: filepath.Join(n.dir, "raftlog"), SegmentBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var tail []*pb.Entry
		for i := range uint64(5) {
			tail = append(tail, &pb.Entry{Index: proto.Uint64(index + 1 + i), Term: proto.Uint64(400), Type: pb.EntryNormal.Enum()})
		}
		log.Submit(raftlog.Write{Shard: 7, Entries: tail})
		if err := log.Run(ctx); err != nil {
			t.Fatal(err)
		}
		n.start()
		if err := n.replica(7).failure(); err != nil {
			t.Fatal(err)
		}
		if term, err := n.log.Shard(7).Term(index + 1); err != nil || term != 500 {
			t.Errorf("term of the snapshot's entry in the log: got %d, %v; want 500", term, err)
		}
	})
}

func TestAnEntryThatWouldStopTheShardIsNotProposed(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		g := n.shard(7)
		for name, e := range map[string]entry{
			"too many holders": {Kind: entryWrite, Holders: make([]ident.ReplicaID, maxReplicas+1)},
			"too large":        {Kind: entryWrite, Body: make([]byte, maxEntry)},
		} {
			n.do(func() {
				if err := n.propose(7, n.cfg.Box, e); err == nil {
					t.Errorf("%s: proposed", name)
				}
			})
		}
		time.Sleep(time.Second)
		if err := g.rep.failure(); err != nil {
			t.Error(err)
		}
	})
}

func TestAChangeOfMembersIsDurableBeforeItIsInForce(t *testing.T) {
	other := boxNamed(t, "other").BoxID()
	alone(t, func(t *testing.T, n *lone) {
		g := n.shard(7, other)
		var before uint64
		n.do(func() {
			before = appliedIndex(g.rep.state)
			g.change(nil, change(pb.ConfChangeRemoveNode, 2))
		})
		late := time.After(2 * time.Second) // sooner than a flush that comes anyway
		for {
			done, change := false, g.rep.changes()
			n.do(func() {
				if done = !g.mem.has(2); done && g.rep.state.Durable() <= before {
					t.Errorf("raft has the new members, the state has synced entry %d, of %d", g.rep.state.Durable(), appliedIndex(g.rep.state))
				}
			})
			if done {
				return
			}
			select {
			case <-change:
			case <-late:
				t.Fatal("the members were not changed")
			}
		}
	})
}

func TestAStoppedReplicaIsNoLeader(t *testing.T) {
	other := boxNamed(t, "other").BoxID()
	alone(t, func(t *testing.T, n *lone) {
		g := n.shard(7, other)
		if got := n.hintLeader(7); got != n.cfg.Box {
			t.Fatalf("it leads, and points to %q", got)
		}
		g.rep.fail(errors.New("for the test"))
		if got := n.hintLeader(7); got != "" {
			t.Errorf("it stopped, and points to %q: who asks would ask again for ever", got)
		}
	})
}

// following begins a shard here as a learner, of which another box has the vote.
func (n *lone) following(id ident.ShardID, voter ident.BoxID) {
	n.t.Helper()
	m := members{
		conf:  &pb.ConfState{Voters: []uint64{2}, Learners: []uint64{1}},
		boxes: map[ident.ReplicaID]ident.BoxID{1: n.cfg.Box, 2: voter},
	}
	if err := n.begin(n.t.Context(), id, 1, &m); err != nil {
		n.t.Fatal(err)
	}
}

func TestALearnerWithoutALeaderWakesTheOthers(t *testing.T) {
	other := boxNamed(t, "other").BoxID()
	alone(t, func(t *testing.T, n *lone) {
		woken := make(chan ident.ShardID, 100)
		n.mesh.Join(other).Receive(func(_ ident.BoxID, b []byte) {
			f, err := decodeFrame(b)
			if err != nil {
				t.Error(err)
			}
			for _, w := range f.Wake {
				woken <- w.Shard
			}
		})
		n.following(7, other)
		for range 10 {
			time.Sleep(time.Second)
			n.do(func() { n.beats.hear(other, beat{Boot: 1, Digest: n.digest(other, n.cfg.Box)}) })
		}
		select {
		case shard := <-woken:
			if shard != 7 {
				t.Errorf("woke shard %v", shard)
			}
		default:
			t.Error("a sleeping leader would not hear of the replica, which never asks for votes")
		}
	})
}

func TestAWriteFindsALeaderThatTheReplicaHereDoesNotKnow(t *testing.T) {
	other := boxNamed(t, "other").BoxID()
	alone(t, func(t *testing.T, n *lone) {
		n.following(7, other)
		time.Sleep(apartAfter + time.Second)
		n.rememberLeader(7, other)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := n.leaderOf(ctx, 7); got != other {
			t.Errorf("got %q, %v; want the box that was said to lead", got, err)
		}
	})
}

func TestABoxThatLeftTheCircleFallsSilentToo(t *testing.T) {
	other := boxNamed(t, "other").BoxID()
	alone(t, func(t *testing.T, n *lone) {
		n.following(7, other)
		n.do(func() {
			g := n.groups[7]
			n.beats.hear(other, beat{Boot: 1})
			g.lead, g.asleep = 2, true
		})
		time.Sleep(2 * beatMissing)
		n.do(func() {
			if n.groups[7].asleep {
				t.Error("the shard sleeps on, behind a leader that is gone")
			}
		})
	})
}

func TestADamagedJournalIsKeptAsideAndSaid(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		n.shard(7)
		if err := n.end(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(n.dir, "journal", ident.ShardID(7).String()+".db")
		if err := os.WriteFile(path, bytes.Repeat([]byte("not a journal"), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			n.start()
			st, err := n.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(st.Shards) != 1 || !strings.Contains(st.Shards[0].Trouble, ErrJournalDamaged.Error()) {
				t.Errorf("status: got %+v, want that the journal was damaged", st.Shards)
			}
			if err := n.end(); err != nil {
				t.Fatal(err)
			}
		}
		n.start()
		if files, _ := filepath.Glob(path + ".damaged-*"); len(files) != 1 {
			t.Errorf("kept aside: %v", files)
		}
	})
}

func TestTheLoopDoesNotWaitForAJournal(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		n.shard(7)
		s := n.Space(7)
		s.mu.Lock() // as while the journal is synced
		n.do(func() { n.status() })
		s.mu.Unlock()
	})
}

func TestAReplicaBegunAnewReadsTheLogToItsEnd(t *testing.T) {
	other := boxNamed(t, "other").BoxID()
	alone(t, func(t *testing.T, n *lone) {
		n.following(7, other)
		time.Sleep(time.Second)
		slow := make(chan struct{})
		n.log.Submit(raftlog.Write{Shard: 99, Done: func(error) { <-slow }}) // a slow disk
		n.do(func() {
			rep := n.replica(7)
			n.log.Submit(raftlog.Write{Shard: 7, HardState: &pb.HardState{Term: proto.Uint64(9), Vote: proto.Uint64(2), Commit: proto.Uint64(1)}})
			n.reopen(rep)
		})
		synctest.Wait()
		close(slow)
		synctest.Wait()
		n.do(func() {
			if g := n.groups[7]; g == nil || g.rn.BasicStatus().GetTerm() < 9 || g.rn.BasicStatus().GetVote() != 2 {
				t.Errorf("raft has forgotten a vote that the log has: %+v", g)
			}
		})
	})
}

func TestAWriteBeforeRunIsTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, err := raftlog.Open(raftlog.Config{Dir: filepath.Join(t.TempDir(), "raftlog"), SegmentBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		chunks, err := chunk.Open(chunk.Config{Dir: filepath.Join(t.TempDir(), "chunks")})
		if err != nil {
			t.Fatal(err)
		}
		mesh := transport.NewMesh(1)
		box := boxNamed(t, "here").BoxID()
		n, err := Open(Config{Box: box, Dir: t.TempDir(), Log: log, Chunks: chunks, Net: mesh.Join(box), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan int, 1)
		go func() { // a door that opens first
			_, kept, err := n.Space(7).Write(t.Context(), "", catalog.Op{Kind: catalog.Mkdir, Dir: catalog.Root, Name: "early"}, 0)
			if err != nil {
				t.Error(err)
			}
			answered <- kept
		}()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- log.Run(ctx) }()
		go func() { ended <- n.Run(ctx) }()
		if kept := <-answered; kept != 1 {
			t.Errorf("kept in %d houses", kept)
		}
		cancel()
		if err := errors.Join(<-ended, <-ended, chunks.Close()); err != nil {
			t.Error(err)
		}
		mesh.Close()
	})
}

func TestTheCircleIsFollowedOnceForManyEntries(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		var followed int
		n.do(func() {
			for range 1000 {
				n.circleNews()
			}
			n.mail.mu.Lock()
			followed = len(n.mail.work)
			n.mail.mu.Unlock()
		})
		if followed > 1 {
			t.Errorf("1000 entries of the circle shard: it is followed %d times", followed)
		}
	})
}

func TestNobodyWaitsForAReplicaThatWasGivenUp(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		g := n.shard(7)
		n.shard(8) // stays
		s := n.Space(7)
		ended := make(chan string, 3)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() { // a write that was committed elsewhere
			if s.caughtUp(ctx, 1000) && s.seen == 1000 {
				ended <- "write"
			}
		}()
		go func() { // one that looks for the leader
			g.rep.seen.Store(&groupView{})
			if _, err := n.ownLeader(ctx, g.rep); err != nil {
				ended <- "leader"
			}
		}()
		go func() { // and what is owed
			g.rep.debt.run(g.rep.life)
			ended <- "debt"
		}()
		synctest.Wait()
		n.do(func() { n.giveUp(g) })
		time.Sleep(time.Second)
		if len(ended) != 3 {
			t.Errorf("%d of 3 heard that the replica was given up", len(ended))
		}
		cancel()
	})
}

// fileOf is an operation that puts a file whose one chunk is nowhere.
func fileOf(name string) catalog.Op {
	return catalog.Op{
		Kind: catalog.Put, Dir: catalog.Root, Name: name,
		Content: &manifest.Content{Size: 1 << 20, Chunks: []chunk.Hash{chunk.Sum([]byte(name))}},
	}
}

func TestABoxThatLacksTheChunksDoesNotSayThatItHoldsThem(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		n.shard(7)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if holders, err := n.Space(7).spread(ctx, fileOf("owed").Content); err == nil {
			t.Errorf("held by %v: nobody has the bytes", holders)
		}
	})
}

func TestWhatCannotBeSentHoldsNothingElseUp(t *testing.T) {
	alone(t, func(t *testing.T, n *lone) {
		n.shard(7)
		s := n.Space(7)
		for i := range settleTogether + 1 {
			p, err := s.accept("", fileOf(fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			n.spawn(func(life context.Context) { s.send(life, p) })
		}
		time.Sleep(10 * time.Second)
		p, err := s.accept("", catalog.Op{Kind: catalog.Mkdir, Dir: catalog.Root, Name: "small"})
		if err != nil {
			t.Fatal(err)
		}
		n.spawn(func(life context.Context) { s.send(life, p) })
		select {
		case <-p.done:
		case <-time.After(20 * time.Second):
			t.Error("a small write waits for large ones that nobody can take")
		}
	})
}

func TestAStrangeNumberMakesNoSpace(t *testing.T) {
	other := boxNamed(t, "other").BoxID()
	alone(t, func(t *testing.T, n *lone) {
		net := n.mesh.Join(other)
		for i := range 10 {
			s, err := net.Dial(t.Context(), n.cfg.Box, serviceRead)
			if err != nil {
				t.Fatal(err)
			}
			var r readReply
			q := readCallOf{Shard: ident.ShardID(1000 + i), Kind: readStat}
			if err := errors.Join(wire.Write(s, q), s.CloseWrite(), wire.Read(s, 0, &r)); err != nil || r.Code != codeNotHere {
				t.Fatalf("got %q, %v", r.Code, err)
			}
		}
		if len(n.spaces) > 0 {
			t.Errorf("%d spaces", len(n.spaces))
		}
	})
}
