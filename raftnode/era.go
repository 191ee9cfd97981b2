package raftnode

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	pb "go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
	"redhen/raftnode/raftlog"
)

// A shard that lost most of its voters for good begins a new era: one replica that is
// left becomes the only voter, under a new number, with all that stands in its log.
// What was committed is there if the replica is the most advanced of those left; what
// was not may be there, too, and counts from now on.
//
// Old and new era never mix: a replica of the old one is addressed by a number that
// nobody in the new one has, and the other way round.

// eraNote says durably that a replica is about to begin an era, so that a power cut
// in the middle does not end it there.
type eraNote struct {
	Old     ident.ReplicaID `cbor:"1,keyasint"`
	New     ident.ReplicaID `cbor:"2,keyasint"`
	Era     uint64          `cbor:"3,keyasint"`
	Command []byte          `cbor:"4,keyasint,omitempty"` // directory.Command that the era begins with, in the circle shard
}

// maxEraNote bounds the file in bytes.
const maxEraNote = directory.MaxCommand + 1<<10

func (n *Node) eraPath(shard ident.ShardID) string {
	return filepath.Join(n.cfg.Dir, "shards", shard.String()+".era")
}

// readEraNote returns the note that stands for a shard, nil when none does.
func (n *Node) readEraNote(shard ident.ShardID) (*eraNote, error) {
	b, err := onefile.Read(n.eraPath(shard), maxEraNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var note eraNote
	if err := wire.Unmarshal(b, &note); err != nil {
		return nil, fmt.Errorf("note of an era: %w", err)
	}
	return &note, nil
}

// newNumberAfter draws a number for the replica with which an era begins. Two sides
// that know nothing of each other and both begin one must not draw the same.
func newNumberAfter(next ident.ReplicaID) ident.ReplicaID {
	return next + ident.ReplicaID(rand.Uint64N(1<<40))
}

// beginEra has the replica of a group begin an era; on the loop. Then is called on it.
// Where a step goes wrong the box stops, and the next start goes on by the note.
func (n *Node) beginEra(g *group, note eraNote, then func(error)) {
	if err := onefile.Replace(n.eraPath(g.shard), wire.MustMarshal(note)); err != nil {
		then(fmt.Errorf("note of an era: %w", err))
		return
	}
	n.log.Info("era begins", "shard", g.shard, "era", note.Era, "replica", note.New)
	n.moveTo(g, note.New, func(rep *replica) error { return n.carryOver(rep, note) }, then)
}

// moveTo ends a group, moves its replica to another number, and begins anew with it;
// on the loop. What the group gave to the log and to the applier comes first.
func (n *Node) moveTo(g *group, id ident.ReplicaID, move func(*replica) error, then func(error)) {
	rep := g.rep
	delete(n.groups, g.shard)
	n.cfg.Log.Submit(raftlog.Write{Shard: g.shard, Done: func(error) {
		rep.work.put(func() {
			err := move(rep)
			n.mail.put(func() {
				if err != nil { // the replica may be closed by now
					n.stopWith(fmt.Errorf("move shard %s to replica %d: %w", rep.shard, id, err))
				} else {
					n.replaceReplica(rep, id)
				}
				then(err)
			})
		})
	}})
}

// resumeEra goes on with what a power cut ended, before the replica is opened. It
// returns the number that the replica now has.
func (n *Node) resumeEra(shard ident.ShardID, id ident.ReplicaID) (ident.ReplicaID, error) {
	note, err := n.readEraNote(shard)
	switch {
	case err != nil:
		return 0, err
	case note == nil:
		return id, nil
	case note.Old != id: // all that was left to do was to remove the note
		return id, os.Remove(n.eraPath(shard))
	}
	r := &replica{n: n, shard: shard, id: id, work: newMail(), change: make(chan struct{}), path: n.statePath(shard, id)}
	r.debt = newDebt(r)
	if r.state, err = kv.Open(r.path); err != nil {
		return 0, err
	}
	r.log = n.cfg.Log.Shard(shard)
	if err := r.loadMembers(); err != nil {
		return 0, errors.Join(err, r.state.Close())
	}
	return note.New, n.carryOver(r, *note)
}

// carryOver makes the state of a replica that of the era, and moves it to its new
// number. It can be done again after any part of it.
func (n *Node) carryOver(r *replica, note eraNote) error { return inOrder(n.eraSteps(r, note)) }

func (n *Node) eraSteps(r *replica, note eraNote) []func() error {
	steps := []func() error{r.state.Flush}
	if r.members.Load().era < note.Era {
		steps = []func() error{r.applyTail, func() error { return r.enterEra(note) }, r.state.Flush}
	}
	steps = append(steps, n.renamingSteps(r, note.New)...)
	return append(steps, func() error { return os.Remove(n.eraPath(r.shard)) })
}

// inOrder does one step after the other, up to the first that goes wrong.
func inOrder(steps []func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// applyTail applies all that stands in the log, committed or not. Nobody is told: what the
// log has may be in one house alone, while its members say two. Whoever waits asks again.
func (r *replica) applyTail() error {
	return r.tail(func(e *pb.Entry) error {
		_, _, err := r.applyOne(e)
		return err
	})
}

// tail calls fn with the entries of the log beyond the state, in order.
func (r *replica) tail(fn func(*pb.Entry) error) error {
	last, err := r.log.LastIndex()
	if err != nil {
		return err
	}
	for next := appliedIndex(r.state) + 1; next <= last; {
		entries, err := r.log.Entries(next, last+1, maxEntry)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := fn(e); err != nil {
				return fmt.Errorf("entry %d: %w", e.GetIndex(), err)
			}
		}
		next += uint64(len(entries))
	}
	return nil
}

// enterEra applies the first entry of an era, which stands in no log: the state
// begins with it.
func (r *replica) enterEra(note eraNote) error {
	hs, _, err := r.log.InitialState()
	if err != nil {
		return err
	}
	index, term := r.state.Applied()
	mem := members{
		conf:  &pb.ConfState{Voters: []uint64{uint64(note.New)}},
		boxes: map[ident.ReplicaID]ident.BoxID{note.New: r.n.cfg.Box},
		era:   note.Era,
	}
	// No term of one side is one of another that began an era from the same log.
	next := 1 + uint64(note.New)%(1<<24)
	err = r.state.Apply(index+1, max(term, hs.GetTerm())+next, func(tx kv.Writer) error {
		if err := mem.write(tx); err != nil || note.Command == nil {
			return err
		}
		c, err := directory.DecodeCommand(note.Command)
		if err != nil {
			return err
		}
		out, err := r.n.machine.Apply(tx, index+1, c)
		if err == nil && out.Code != directory.Done {
			err = fmt.Errorf("takeover refused: %s", out.Code)
		}
		return err
	})
	if err == nil {
		r.members.Store(&mem)
	}
	return err
}

// renamingSteps move the state of a replica, which is closed by it, to another
// number, and its log to begin behind it. They can be done again after any of them.
func (n *Node) renamingSteps(r *replica, id ident.ReplicaID) []func() error {
	fresh := &replica{n: n, shard: r.shard, id: id, path: n.statePath(r.shard, id)}
	return []func() error{
		r.state.Close,
		func() error { return n.useNumber(r.shard, id) },
		func() error { return n.forgetLog(r.shard) },
		func() error { return fresh.beginReset(appliedIndex(r.state)) },
		func() error { return os.Rename(r.path, fresh.path) },
		func() error { // that number is used up
			if err := os.Remove(r.lostPath()); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		},
	}
}
