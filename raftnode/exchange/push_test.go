package exchange

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
	"redhen/raftnode/transport"
)

func TestPushSendsWhatIsMissing(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(10, 100_000)
		b.fill(bs, annas)
		b.fill(bs[:4], berts)
		if err := b.x[annas].Push(t.Context(), berts, append(hs, hs[7], hs[8])); err != nil {
			t.Fatal(err)
		}
		b.stores[berts].hasAll(t, hs)
		if _, puts := b.stores[berts].counts(); puts != 6 {
			t.Errorf("%d chunks were sent, want 6", puts)
		}
		for _, h := range hs {
			if left := b.stores[berts].leases[h] - time.Now().UnixMilli(); left < leaseTime.Milliseconds()-10_000 {
				t.Errorf("the lease runs for %d ms", left)
			}
		}
	})
}

func TestPushOfNothing(t *testing.T) {
	run(t, []ident.BoxID{annas}, func(t *testing.T, b *bench) {
		if err := b.x[annas].Push(t.Context(), berts, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestPushInManyParts(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(2*batch+10, 20)
		b.fill(bs, annas)
		if err := b.x[annas].Push(t.Context(), berts, hs); err != nil {
			t.Fatal(err)
		}
		b.stores[berts].hasAll(t, hs)
		have, err := b.x[annas].Have(t.Context(), berts, append(hs, chunk.Sum([]byte("not there"))))
		if err != nil || len(have) != len(hs)+1 || have[len(hs)] || !have[0] || !have[len(hs)-1] {
			t.Errorf("have: %d answers, %v", len(have), err)
		}
	})
}

// The rule that files survive by: nil means confirmed.
func TestPushFailsWhenOneChunkIsNotKept(t *testing.T) {
	for name, tt := range map[string]struct{ err, want error }{
		"full":    {chunk.ErrFull, ErrFull},
		"stopped": {chunk.ErrStopped, ErrRefused},
		"changed": {chunk.ErrContent, ErrContent},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
				bs, hs := someChunks(9, 10_000)
				b.fill(bs, annas)
				b.stores[berts].fail = func(h chunk.Hash) error {
					if h == hs[5] {
						return tt.err
					}
					return nil
				}
				if err := b.x[annas].Push(t.Context(), berts, hs); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestPushOfAChunkThatIsNotHere(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(5, 10_000)
		b.fill(bs[:4], annas)
		begin := time.Now()
		if err := b.x[annas].Push(t.Context(), berts, hs); !errors.Is(err, chunk.ErrMissing) {
			t.Errorf("got %v, want ErrMissing", err)
		}
		if time.Since(begin) > time.Second {
			t.Error("what cannot work was tried again")
		}
	})
}

func TestPushResumes(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(30, 200_000)
		b.fill(bs, annas)
		b.SetUpload(annas, 1<<20)
		b.stores[berts].onPut = func(n int) {
			if n%4 == 0 && n < 30 {
				b.Cut(annas, berts)
				time.AfterFunc(2*time.Second, b.Heal)
			}
		}
		if err := b.x[annas].Push(t.Context(), berts, hs); err != nil {
			t.Fatal(err)
		}
		b.stores[berts].hasAll(t, hs)
		if sent := b.Traffic(annas, berts).StreamBytes; sent > 30*200_000+8*window*200_000 {
			t.Errorf("%d bytes were sent for 6,000,000", sent)
		}
	})
}

func TestPushToABoxThatRestarts(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(30, 200_000)
		b.fill(bs, annas)
		b.SetUpload(annas, 1<<20)
		var once sync.Once
		b.stores[berts].onPut = func(n int) {
			if n == 12 {
				once.Do(func() {
					b.Leave(berts)
					time.AfterFunc(3*time.Second, func() { b.start(berts) })
				})
			}
		}
		if err := b.x[annas].Push(t.Context(), berts, hs); err != nil {
			t.Fatal(err)
		}
		b.stores[berts].hasAll(t, hs)
	})
}

func TestPushToADarkHouse(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(3, 1000)
		b.fill(bs, annas)
		b.Partition([]ident.BoxID{annas})
		begin := time.Now()
		err := b.x[annas].Push(t.Context(), berts, hs)
		if !errors.Is(err, transport.ErrUnreachable) || time.Since(begin) > 10*time.Second {
			t.Errorf("got %v after %v, want ErrUnreachable soon", err, time.Since(begin))
		}
	})
}

// A link that swallows everything is found out by the lack of progress.
func TestPushStalls(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(20, chunk.Size)
		b.fill(bs, annas)
		b.SetUpload(annas, 1<<20)
		b.SetNotice(time.Hour)
		time.AfterFunc(5*time.Second, func() { b.Cut(berts, annas) })
		begin := time.Now()
		ctx := t.Context()
		err := b.x[annas].Push(ctx, berts, hs)
		// The dials that follow the first stall end with the patience too.
		if !errors.Is(err, ErrStalled) && !errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("got %v, want ErrStalled or ErrUnreachable", err)
		}
		if took := time.Since(begin); took > 5*time.Second+6*usualPatience {
			t.Errorf("it took %v", took)
		}
	})
}

// Slow is not stalled: at 20 KiB/s one chunk takes longer than the patience.
func TestPushOverASlowLink(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(6, chunk.Size)
		b.fill(bs, annas)
		b.SetUpload(annas, 20<<10)
		if err := b.x[annas].Push(t.Context(), berts, hs); err != nil {
			t.Fatal(err)
		}
		b.stores[berts].hasAll(t, hs)
		if sent := b.Traffic(annas, berts).StreamBytes; sent > 6*chunk.Size+10_000 {
			t.Errorf("%d bytes were sent for 6 MiB", sent)
		}
	})
}

// While the card of the other side is slow, neither side holds more than its window.
func TestPushIsBoundedInMemory(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(40, 100_000)
		b.fill(bs, annas)
		to := b.stores[berts]
		to.delay = 3 * time.Second
		to.onPut = func(int) {
			read, _ := b.stores[annas].counts()
			to.mu.Lock()
			defer to.mu.Unlock()
			if stored := to.puts - to.putting; read > stored+window {
				t.Errorf("%d chunks were read while %d are stored", read, stored)
			}
		}
		if err := b.x[annas].Push(t.Context(), berts, hs); err != nil {
			t.Fatal(err)
		}
		if to.most != window {
			t.Errorf("%d chunks were stored at a time, want %d", to.most, window)
		}
	})
}

// A sender that does not wait for answers gets no more memory for it.
func TestAGreedySenderIsHeldBack(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		b.stores[berts].delay = time.Second
		f, err := b.x[annas].dial(t.Context(), berts, putService)
		if err != nil {
			t.Fatal(err)
		}
		bs, hs := someChunks(20, 1000)
		for i, h := range hs {
			if err := f.write(announcement{Hash: h, Size: 1000}, bs[i]...); err != nil {
				t.Fatal(err)
			}
		}
		f.s.CloseWrite()
		for range hs {
			var a answer
			if err := f.read(&a); err != nil || a.Code != codeDone {
				t.Fatalf("code %d, %v", a.Code, err)
			}
		}
		f.close(nil)
		if most := b.stores[berts].most; most != window {
			t.Errorf("%d chunks were in memory at a time, want %d", most, window)
		}
	})
}

// Whoever waits for memory of the other side is told so, and does not give up.
func TestPushWaitsForASlot(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(3, 1000)
		b.fill(bs, annas)
		for range storeSlots {
			b.x[berts].slots <- struct{}{}
		}
		time.AfterFunc(4*usualPatience, func() {
			for range storeSlots {
				<-b.x[berts].slots
			}
		})
		if err := b.x[annas].Push(t.Context(), berts, hs); err != nil {
			t.Fatal(err)
		}
		if n := b.Traffic(annas, berts).Streams; n != 2 {
			t.Errorf("%d streams, want one question and one put", n)
		}
	})
}

// All peers together get no more memory than storeSlots chunks, and all get through.
func TestManyPushersShareTheSlots(t *testing.T) {
	boxes := []ident.BoxID{annas, "p1", "p2", "p3", "p4", "p5", "p6", "p7"}
	run(t, boxes, func(t *testing.T, b *bench) {
		b.stores[annas].delay = 20 * time.Second
		var wg sync.WaitGroup
		for i, box := range boxes[1:] {
			bs, hs := someChunks(8, 1000+i)
			b.fill(bs, box)
			wg.Go(func() {
				if err := b.x[box].Push(t.Context(), annas, hs); err != nil {
					t.Errorf("%s: %v", box, err)
				}
				b.stores[annas].hasAll(t, hs)
			})
		}
		wg.Wait()
		if most := b.stores[annas].most; most != storeSlots {
			t.Errorf("%d chunks were in memory at a time, want %d", most, storeSlots)
		}
	})
}

func TestPushBelievesOnlyAnswersToWhatWasSent(t *testing.T) {
	bs, hs := someChunks(2, 1000)
	for name, answers := range map[string][]answer{
		"of another chunk": {{Code: codeDone, Hash: chunk.Sum([]byte("?"))}},
		"twice the same":   {{Code: codeDone, Hash: chunk.Hash{}}, {Code: codeDone, Hash: chunk.Hash{}}},
		"of no meaning":    {{Code: 99}},
		"none":             nil,
		"zero":             {{}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
				b.fill(bs, annas)
				b.x[berts].serve(putService, func(_ ctxt, _ ident.BoxID, f *flow) error {
					var first announcement
					if err := f.read(&first); err != nil {
						return err
					}
					for _, a := range answers {
						if a.Code == codeDone && a.Hash.IsZero() {
							a.Hash = first.Hash
						}
						f.write(a)
					}
					return f.readBytes(make([]byte, first.Size), nil)
				})
				if err := b.x[annas].Push(t.Context(), berts, hs); err == nil {
					t.Error("believed")
				}
			})
		})
	}
}

// Whatever the link does: when Push says nil, everything is there.
func TestPushThroughRoughWeather(t *testing.T) {
	for seed := range uint64(20) {
		run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
			rng := rand.New(rand.NewPCG(seed, 1))
			bs, hs := someChunks(40, 100_000)
			b.fill(bs, annas)
			b.SetUpload(annas, 200_000)
			b.SetNotice(time.Duration(rng.IntN(4)) * time.Second)
			b.stores[berts].delay = time.Duration(rng.IntN(300)) * time.Millisecond
			stop := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Duration(rng.IntN(8000)) * time.Millisecond):
					}
					switch rng.IntN(4) {
					case 0:
						b.Cut(annas, berts)
					case 1:
						b.Cut(berts, annas)
					case 2:
						b.start(berts)
					}
					time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
					b.Heal()
				}
			})
			done := false
			for range 50 {
				if err := b.x[annas].Push(t.Context(), berts, hs); err == nil {
					done = true
					b.stores[berts].hasAll(t, hs)
					break
				}
			}
			close(stop)
			wg.Wait()
			if !done {
				t.Errorf("seed %d: never arrived", seed)
			}
		})
	}
}
