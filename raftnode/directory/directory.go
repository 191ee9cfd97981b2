// Package directory is the state machine of the circle shard: the roster, the
// accounts, the spaces and where their replicas are, what keepers decided about
// their boxes, invites, petitions and the diary. Apply is pure: no clock, no
// randomness, nothing but the command and the stored state.
package directory

import (
	"errors"
	"fmt"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/kv"
)

// ErrUnknown says that a command is of no kind this program knows, so that the
// shard must stop rather than skip it.
var ErrUnknown = errors.New("directory: command of an unknown kind")

// ErrDamaged says that a stored record cannot be read.
var ErrDamaged = errors.New("directory: damaged record")

// Machine applies commands and gives views. It remembers rosters that it has
// verified, so that a chain is verified once and not at every look; it holds
// nothing else. The zero value is ready; it is safe for concurrent use.
type Machine struct{ memo memo }

// View returns what can be asked of the state in r. It is for one goroutine and
// holds as long as r does.
func (m *Machine) View(r kv.Reader) View { return View{r: r, memo: &m.memo, bad: new(error)} }

// Apply executes one command that stands at index in the log. A refused command
// changes nothing but the memory of its ID: Outcome says why. A command whose ID
// was seen among the last MaxCommands gets the outcome it had then. An error means
// a damaged state or a command from a newer program; the shard must stop.
func (m *Machine) Apply(tx kv.Writer, index uint64, c Command) (Outcome, error) {
	act, err := c.action()
	if err != nil {
		return Outcome{}, err
	}
	t := &txn{View: m.View(tx), cmd: c, index: index}
	if out, ok := t.remembered(c.ID); ok {
		return out, t.Err()
	}
	t.meta = t.readMeta()
	t.roster = t.Roster()
	out := Outcome{Code: t.run(act), Index: index, Replica: t.replica, Needs: t.needs}
	if out.Code != Done && out.Code != Waiting {
		t.writes, t.meta = nil, t.readMeta()
		out.Replica = 0
	}
	t.remember(out)
	if err := t.Err(); err != nil {
		return Outcome{}, fmt.Errorf("apply at index %d: %w", index, err)
	}
	t.commit(tx)
	return out, nil
}

// txn is one command on its way. Its writes wait until the command is known to
// succeed; reads see the state before it.
type txn struct {
	View
	cmd    Command
	index  uint64
	meta   meta
	roster *roster.State
	writes []write

	replica ident.ReplicaID
	needs   int
}

type write struct{ key, value []byte } // value nil = delete

func (t *txn) run(act action) Code {
	if t.cmd.check() != nil {
		return Invalid
	}
	if _, founding := act.(*Found); !founding && !t.active(t.cmd.By) {
		return Stranger
	}
	return act.apply(t)
}

func (t *txn) active(b ident.BoxID) bool { return t.roster != nil && t.roster.Active(b) }

func (t *txn) put(key []byte, record any) {
	t.writes = append(t.writes, write{key, encode(record)})
}

func (t *txn) putRaw(key, value []byte) { t.writes = append(t.writes, write{key, value}) }

func (t *txn) delete(key []byte) { t.writes = append(t.writes, write{key, nil}) }

func (t *txn) commit(tx kv.Writer) {
	t.put(metaKey(), t.meta)
	for _, w := range t.writes {
		if w.value == nil {
			tx.Delete(w.key)
		} else {
			tx.Put(w.key, w.value)
		}
	}
}

// remembered returns the outcome of a command that was applied before.
func (t *txn) remembered(id [16]byte) (Outcome, bool) {
	var r remembered
	ok := t.get(commandKey(id), &r)
	return r.Outcome, ok
}

// remember keeps the outcome and forgets the one MaxCommands before it.
func (t *txn) remember(out Outcome) {
	n := t.meta.Commands
	t.meta.Commands++
	t.put(commandKey(t.cmd.ID), remembered{Outcome: out})
	t.putRaw(orderKey(n), t.cmd.ID[:])
	if n < MaxCommands {
		return
	}
	old := orderKey(n - MaxCommands)
	if id := t.r.Get(old); len(id) == 16 {
		t.delete(commandKey([16]byte(id)))
	}
	t.delete(old)
}

// note writes one row into the diary and drops the one MaxDiary before it.
func (t *txn) note(e Entry) {
	n := t.meta.Diary
	t.meta.Diary++
	e.Time, e.By = t.cmd.Time, t.cmd.By
	t.put(diaryKey(n), e)
	if n >= MaxDiary {
		t.delete(diaryKey(n - MaxDiary))
	}
}
