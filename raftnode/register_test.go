package raftnode_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/anishathalye/porcupine"

	"redhen/raftnode/catalog"
	"redhen/raftnode/raftnodetest"
)

// history is what people did with a few files that are only read and put over what
// was read: registers with compare-and-set.
type history struct {
	mu   sync.Mutex // guards what follows
	now  int64      // counts calls and returns: their order is that of real time
	next int
	ops  []porcupine.Operation
}

// registerCall is a read when Put is zero.
type registerCall struct {
	Name      string
	Base, Put catalog.WriteID
}

// registerReturn is what became of it; Unknown when the caller was never told.
type registerReturn struct {
	Read    catalog.WriteID
	Done    bool
	Unknown bool
}

func registerModel() porcupine.Model {
	return porcupine.Model{
		Partition: func(ops []porcupine.Operation) [][]porcupine.Operation {
			byName := map[string][]porcupine.Operation{}
			for _, op := range ops {
				name := op.Input.(registerCall).Name
				byName[name] = append(byName[name], op)
			}
			var parts [][]porcupine.Operation
			for _, part := range byName {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return catalog.WriteID{} },
		Step: func(state, input, output any) (bool, any) {
			now, call, ret := state.(catalog.WriteID), input.(registerCall), output.(registerReturn)
			if call.Put.IsZero() {
				return ret.Read == now, now
			}
			did := call.Base == now
			if did {
				now = call.Put
			}
			return ret.Unknown || ret.Done == did, now
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
	}
}

func (h *history) tick() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now++
	return h.now
}

func (h *history) add(call int64, in registerCall, out registerReturn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now++
	end := h.now
	if out.Unknown {
		end = math.MaxInt64 // it may still come to pass
	}
	h.next++
	h.ops = append(h.ops, porcupine.Operation{ClientId: h.next, Input: in, Call: call, Output: out, Return: end})
}

// check reports whether all of it could have happened one after the other.
func (h *history) check(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, part := range registerModel().Partition(h.ops) {
		if !porcupine.CheckOperations(registerModel(), part) {
			t.Errorf("%s: reads and writes are not linearizable", part[0].Input.(registerCall).Name)
			for _, op := range part {
				t.Logf("%d–%d %s", op.Call, op.Return, registerModel().DescribeOperation(op.Input, op.Output))
			}
		}
	}
}

var errNotTogether = errors.New("not together")

// readRegister reads a register at a box that holds the space and has nothing of
// its own that is not settled.
func (w *world) readRegister(ctx context.Context, b *raftnodetest.Box, i int) {
	_, _ = w.barrierRead(ctx, b, fmt.Sprintf("register%d", i)) // recorded when it was one
}

func (w *world) barrierRead(ctx context.Context, b *raftnodetest.Box, name string) (catalog.Entry, error) {
	n, err := b.Running()
	if err != nil {
		return catalog.Entry{}, err
	}
	life, call := b.Life(), w.hist.tick()
	if err := n.Space(w.space).Barrier(ctx); err != nil {
		return catalog.Entry{}, err
	}
	e, err := b.Stat(ctx, w.space, name)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return e, err
	}
	st, err := n.Status(ctx)
	if err != nil {
		return e, err
	}
	for _, sh := range st.Shards {
		if sh.Shard == w.space && sh.Journaled > 0 {
			return e, errNotTogether
		}
	}
	if b.Life() != life || life%2 == 0 {
		return e, raftnodetest.ErrDown
	}
	w.hist.add(call, registerCall{Name: name}, registerReturn{Read: e.Version})
	return e, nil
}

func (w *world) writeRegister(ctx context.Context, b *raftnodetest.Box, i, n int) {
	name := fmt.Sprintf("register%d", i)
	base, err := w.barrierRead(ctx, b, name)
	if err != nil {
		return
	}
	op, err := b.PutOp(ctx, w.space, name, fmt.Appendf(nil, "<%d>", n))
	if err != nil || op.Base != base.Version {
		return
	}
	life, call := b.Life(), w.hist.tick()
	node, err := b.Running()
	if err != nil {
		return
	}
	out, kept, err := node.Space(w.space).Write(ctx, b.Account, op, 0)
	if out.Version.IsZero() {
		return // not even accepted
	}
	known := err == nil && kept > 1 && b.Life() == life && life%2 == 1
	w.hist.add(call, registerCall{name, op.Base, out.Version}, registerReturn{Done: out.Status == catalog.Done, Unknown: !known})
	if err == nil && b.Life() == life && life%2 == 1 {
		w.mu.Lock()
		w.kept = append(w.kept, keptWrite{out.Version, b.Name, life, kept, fmt.Sprintf("<%d>", n), true})
		w.mu.Unlock()
	}
}
