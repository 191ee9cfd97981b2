package account

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"redhen/provision/wire"
)

func TestPasswordRecords(t *testing.T) {
	h := quick()
	record, err := h.Password(t.Context(), "zwölf Hühner")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(record, []byte("Hühner")) {
		t.Error("the record holds the password")
	}
	again, err := h.Password(t.Context(), "zwölf Hühner")
	if err != nil || bytes.Equal(record, again) {
		t.Error("two records of one password are the same")
	}
	for typed, want := range map[string]bool{
		"zwölf Hühner":             true,
		"zwo\u0308lf Hu\u0308hner": true, // typed decomposed
		"zwölf hühner":             false,
		"zwölf Hühner ":            false,
		"":                         false,
	} {
		if got, err := h.Check(t.Context(), record, typed); got != want || err != nil {
			t.Errorf("%q: got %v, %v", typed, got, err)
		}
	}
	dearer := NewHasher(Cost{Passes: 2, Memory: 128})
	if ok, err := dearer.Check(t.Context(), record, "zwölf Hühner"); !ok || err != nil {
		t.Errorf("an old record is not read: %v, %v", ok, err)
	}
}

// What a box of the first release stored must be read for ever.
func TestPasswordRecordIsGolden(t *testing.T) {
	const golden = "a3010102a401020218400301045000000000000000000000000000000000035820" +
		"c84d1d86c6cf014783a7847683483263e485a5b01a3ca5a9befc1eca4fd9b9a2"
	record, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := quick().Check(t.Context(), record, password); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

func TestTheDefaultCostFitsASmallBoard(t *testing.T) {
	h := NewHasher(Cost{})
	if h.cost != (Cost{Passes: 2, Memory: 19456}) || cap(h.slots) != 2 {
		t.Errorf("cost %+v, %d at once", h.cost, cap(h.slots))
	}
	if h := NewHasher(Cost{Memory: 1 << 20}); h.cost.Memory != MaxMemory {
		t.Errorf("memory of %d KiB", h.cost.Memory)
	}
}

func TestTwoHashesAtOnceAndAShortLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := quick()
		ctx, cancel := context.WithCancel(t.Context())
		h.slots <- struct{}{}
		h.slots <- struct{}{} // two hashes are under way
		ended := make(chan error, maxQueue)
		for range maxQueue {
			go func() {
				_, err := h.Password(ctx, password)
				ended <- err
			}()
		}
		synctest.Wait()
		if len(ended) != 0 {
			t.Fatal("a third hash was begun")
		}
		if _, err := h.Password(ctx, password); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
		<-h.slots
		if err := <-ended; err != nil {
			t.Errorf("the next in line: %v", err)
		}
		h.slots <- struct{}{}
		cancel()
		synctest.Wait()
		<-h.slots
		<-h.slots
	})
}

func TestRecordsThatAskForTooMuchAreRefused(t *testing.T) {
	good := kdf{Passes: 1, Memory: 64, Threads: 1, Salt: make([]byte, saltSize)}
	record := func(change func(*passwordRecord)) []byte {
		r := passwordRecord{format, good, make([]byte, sumSize)}
		change(&r)
		return wire.MustMarshal(r)
	}
	for name, b := range map[string][]byte{
		"nothing":        {},
		"memory":         record(func(r *passwordRecord) { r.KDF.Memory = MaxMemory + 1 }),
		"no memory":      record(func(r *passwordRecord) { r.KDF.Memory = 0 }),
		"passes":         record(func(r *passwordRecord) { r.KDF.Passes = 17 }),
		"no pass":        record(func(r *passwordRecord) { r.KDF.Passes = 0 }),
		"no thread":      record(func(r *passwordRecord) { r.KDF.Threads = 0 }),
		"threads":        record(func(r *passwordRecord) { r.KDF.Threads = 200 }),
		"short salt":     record(func(r *passwordRecord) { r.KDF.Salt = make([]byte, 8) }),
		"long salt":      record(func(r *passwordRecord) { r.KDF.Salt = make([]byte, 65) }),
		"short sum":      record(func(r *passwordRecord) { r.Sum = r.Sum[:1] }),
		"no sum":         record(func(r *passwordRecord) { r.Sum = nil }),
		"newer format":   record(func(r *passwordRecord) { r.Format++ }),
		"too long":       make([]byte, maxRecord+1),
		"trailing bytes": append(record(func(*passwordRecord) {}), 0),
	} {
		if ok, err := quick().Check(t.Context(), b, ""); ok || !errors.Is(err, ErrRecord) {
			t.Errorf("%s: got %v, %v", name, ok, err)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]error{
		"anna": nil, "zoe.mueller": nil, "a1": nil, "redhen": ErrReserved, "www": ErrReserved,
		"Anna": ErrName, "": ErrName, "a b": ErrName, "-a": ErrName, strings.Repeat("a", 33): ErrName,
	} {
		if got := CheckName(name); !errors.Is(got, want) {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
	for person, want := range map[string]string{
		"Zoë Müller": "zoe.muller", "  Anna  ": "anna", "O'Neil, P.": "oneil.p", "李雷": "", "Admin": "",
		"Ångström-Smith": "angstrom-smith", "...": "", strings.Repeat("Anna ", 20): "anna.anna.anna.anna.anna.anna.an", "\xff\xfe": "",
	} {
		if got := SuggestName(person); got != want {
			t.Errorf("%q: got %q, want %q", person, got, want)
		}
	}
}

func TestNewPasswords(t *testing.T) {
	for typed, ok := range map[string]bool{
		password: true, "überraschend": true, "12 34 56 7": true,
		"short": false, "1234567": false, "12345678": false, "PassWord1": false, "aaaaaaaaaaaa": false,
		"annabella": false, "ÄÄÄÄÄÄÄÄ": false, strings.Repeat("ab", maxPassword): false, "bad\xffbytes!": false,
		"hen-00000-11111-22222-33333": false,
	} {
		if err := CheckNewPassword("AnnaBella", typed); (err == nil) != ok {
			t.Errorf("%q: got %v", typed, err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	h := NewHasher(Cost{})
	for b.Loop() {
		h.Password(b.Context(), password)
	}
}
