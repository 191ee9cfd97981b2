package raftnode

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/catalog"
	"redhen/raftnode/kv"
	"redhen/raftnode/transport"
)

// names lists the root as readers here see it.
func names(t *testing.T, s *Space, rep *replica) (list []string) {
	t.Helper()
	r, err := s.answerHere(rep, readCallOf{Kind: readList})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Entries {
		list = append(list, e.Name)
	}
	return list
}

// TestReadersSeeWhatWaits guards that the layer that is kept between reads shows what
// one made anew would: whatever is written, settled, applied or taken back between them.
func TestReadersSeeWhatWaits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s, rep := waitingSpace(t, 3)
	index := uint64(1)
	for i := range 400 {
		switch rng.IntN(5) {
		case 0, 1:
			addWaiting(t, s, 1000+i)
		case 2: // a write of this box is committed, and the state has it
			if len(s.pending) == 0 {
				continue
			}
			p := s.pending[rng.IntN(len(s.pending))]
			index++
			applyWrite(t, rep, index, p.write)
			s.settled(t.Context(), p, result{write: catalog.Outcome{Index: index}})
		case 3: // one of another box
			index++
			other := catalog.WriteID{Box: "12D3KooWGcSoRSqvDuog8MQxL7L2dixeEPWGkQ7v3L9N5iS5CrRF", Inc: 1, Seq: uint64(i + 1)}
			applyWrite(t, rep, index, catalog.Write{ID: other, Time: 1, Floor: other.Seq, Op: catalog.Op{
				Kind: catalog.Mkdir, Dir: catalog.Root, Name: fmt.Sprintf("other %d", i), ModTime: 1}})
		case 4: // one that is kept nowhere yet is not shown
			if _, err := s.accept("", catalog.Op{Kind: catalog.Mkdir, Dir: catalog.Root, Name: fmt.Sprintf("quiet %d", i), ModTime: 1}); err != nil {
				t.Fatal(err)
			}
		}
		var want []string
		var kept []catalog.Write
		for _, p := range s.pending {
			if p.journaled || p.lagging {
				kept = append(kept, p.write)
			}
		}
		err := viewWith(rep, kept, func(v catalog.View) error {
			r, err := look(v, readCallOf{Kind: readList})
			for _, e := range r.Entries {
				want = append(want, e.Name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if diff := cmp.Diff(want, names(t, s, rep)); diff != "" {
				t.Fatalf("step %d: %s", i, diff)
			}
		}
	}
}

func applyWrite(t *testing.T, rep *replica, index uint64, w catalog.Write) {
	t.Helper()
	err := rep.state.Apply(index, 1, func(tx kv.Writer) error {
		_, err := catalog.Apply(tx, index, w, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestReadersDoNotShareALayer guards that many read at once while writes come and go.
func TestReadersDoNotShareALayer(t *testing.T) {
	s, rep := waitingSpace(t, 50)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				r, err := s.answerHere(rep, readCallOf{Kind: readList})
				if err != nil || len(r.Entries) < 50 {
					t.Errorf("%d entries, %v", len(r.Entries), err)
					return
				}
			}
		})
	}
	for i := range 50 {
		addWaiting(t, s, 100+i)
	}
	wg.Wait()
}

// TestKeptAndSettledAtOnce guards that a write that settles while it goes to the
// journal does not stay in it.
func TestKeptAndSettledAtOnce(t *testing.T) {
	s, _ := waitingSpace(t, 0)
	var wg sync.WaitGroup
	for i := range 100 {
		p, err := s.accept("", catalog.Op{Kind: catalog.Mkdir, Dir: catalog.Root, Name: fmt.Sprint(i), ModTime: 1})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := s.keep(p); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() { s.settled(context.Background(), p, result{}) })
	}
	wg.Wait()
	if all, journaled := s.counts(); all != 0 || journaled != 0 {
		t.Errorf("%d writes wait, %d in the journal", all, journaled)
	}
	if s.journal != nil && s.journal.Len() != 0 {
		t.Errorf("the journal holds %d writes that are settled", s.journal.Len())
	}
}

// TestTheNextBoxIsAskedBeside guards that a box that hangs does not hold a reader up,
// and that one that fails costs no waiting.
func TestTheNextBoxIsAskedBeside(t *testing.T) {
	const hangs, fails, answers = 'h', 'f', 'a'
	for boxes, want := range map[string]time.Duration{
		"a": 0, "fa": 0, "ffa": 0, "ha": readHedge, "hfa": readHedge, "fha": readHedge, "hha": 2 * readHedge, "ff": -1,
	} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := waitingSpace(t, 0)
			mesh := transport.NewMesh(1)
			defer mesh.Close()
			s.n.cfg.Net = mesh.Join(s.n.cfg.Box)
			var ask []ident.BoxID
			for i, kind := range boxes {
				box := ident.BoxID(fmt.Sprint("box ", i))
				ask = append(ask, box)
				if kind == fails {
					continue // it is not there
				}
				mesh.Join(box).Handle(serviceRead, func(ctx context.Context, _ ident.BoxID, st transport.Stream) {
					if kind == hangs {
						<-ctx.Done()
						return
					}
					var q readCallOf
					if err := readCall(st, &q); err != nil {
						t.Errorf("box %d: %v", i, err)
					}
					wire.Write(st, readReply{Applied: 9})
				})
			}
			began := time.Now()
			r, err := s.askHolders(t.Context(), readCallOf{}, ask)
			if took := time.Since(began); want >= 0 && (err != nil || r.Applied != 9 || took != want) {
				t.Errorf("%s: %+v, %v after %v, want %v", boxes, r, err, took, want)
			}
			if want < 0 && err == nil {
				t.Errorf("%s: no error", boxes)
			}
		})
	}
}
