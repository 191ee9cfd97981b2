package raftnode_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mutant is one mistake that somebody could make. It is planted into a copy of the
// source, which the compiler takes instead of it (go build -overlay): the program itself
// has no switch for it. All are planted at once and sleep; REDHEN_MISTAKE wakes one.
type mutant struct {
	name   string
	file   string // below raftnode/
	before string // stands in it exactly once; who changes it changes it here, too
	after  string // may ask mistaken(NAME)
	story  string // the test that has to fail: of one of the random stories, seed after seed
	quick  bool   // caught within seconds: part of make test
}

const (
	circles = "TestRandomCircles"
	two     = "TestRandomTwoHouses"
)

var mutants = []mutant{{
	name: "skip the fsync of the log", story: circles, quick: true, file: "raftlog/write.go",
	before: "	if err := s.file.Sync(); err != nil {",
	after:  "	sync := s.file.Sync\n	if mistaken(NAME) {\n		sync = func() error { return nil }\n	}\n	if err := sync(); err != nil {",
}, {
	name: "skip the fsync of a chunk", story: circles, file: "chunk/chunk.go",
	before: "	return name, file.Sync()",
	after:  "	if mistaken(NAME) {\n		return name, nil\n	}\n	return name, file.Sync()",
}, {
	name: "skip the fsync of the journal", story: two, file: "journal/file.go",
	before: "	if err := f.f.Sync(); err != nil {\n		return f.stop(err)\n	}",
	after:  "	if !mistaken(NAME) {\n		if err := f.f.Sync(); err != nil {\n			return f.stop(err)\n		}\n	}",
}, {
	name: "forget dedup", story: circles, file: "catalog/apply.go",
	before: "	if out, ok := t.Outcome(w.ID); ok {",
	after:  "	if out, ok := t.Outcome(w.ID); ok && !mistaken(NAME) {",
}, {
	name: "dedup by highest sequence", story: circles, file: "catalog/apply.go",
	before: "	for _, id := range w.After {\n		if !t.Decided(id) {",
	after: "	if mistaken(NAME) {\n		for range tx.Scan(incarnationKey(tableOutcomes, w.ID), writeKey(tableOutcomes, w.ID)) {\n" +
		"			return Outcome{Status: Done, Version: w.ID, Index: index}, nil\n		}\n	}\n" +
		"	for _, id := range w.After {\n		if !t.Decided(id) {",
}, {
	name: "base as a number", story: circles, file: "catalog/put.go",
	before: "	case e.Version != t.base && !same:",
	after:  "	case e.Version != t.base && !same && !(mistaken(NAME) && e.Version.Seq <= t.base.Seq):",
}, {
	name: "overwrite the rival", story: two, quick: true, file: "catalog/put.go",
	before: "		return t.putBeside(e, at)",
	after: "		if mistaken(NAME) && there {\n			t.putContent(e.Node, *t.op.Content)\n			e.Size, e.Version = t.op.Content.Size, t.w.ID\n" +
		"			t.rewrite(e)\n			return t.at(Done, e)\n		}\n		return t.putBeside(e, at)",
}, {
	name: "fence off", story: "TestMessagesThatNoBoxMaySendAreRefused", file: "group.go",
	before: "m.GetTo() != uint64(g.id) {\n		return\n	}\n	if err := g.mayBe",
	after:  "!mistaken(NAME) && m.GetTo() != uint64(g.id) {\n		return\n	}\n	m.To = proto.Uint64(uint64(g.id))\n	if err := g.mayBe",
}, {
	name: "promote with debt", story: "TestOnlyAWholeReplicaIsPromoted", file: "reconcile.go",
	before: "	if w := g.whole[id]; g.shard",
	after:  "	if w := g.whole[id]; !mistaken(NAME) && g.shard",
}, {
	name: "let a voter go whose chunks nobody has", story: "TestAVoterStaysWhileItIsNeeded", file: "swap.go",
	before: "	if g.shard == ident.CircleShard {\n		return true",
	after:  "	if g.shard == ident.CircleShard || mistaken(NAME) {\n		return true",
}, {
	name: "two voters in a house", story: circles, file: "placement/choose.go",
	before: "		house := p.boxes[rs[i].Box].House\n		if _, ok := byHouse[house]; !ok {",
	after:  "		house := p.boxes[rs[i].Box].House\n		if _, ok := byHouse[house]; !ok || mistaken(NAME) {",
}, {
	name: "the name before the bytes", story: circles, file: "write.go",
	before: "	if s.n.hasAll(hs) { // of a copy, this box may owe them",
	after:  "	if mistaken(NAME) {\n		return m.voters(), nil\n	}\n	if s.n.hasAll(hs) { // of a copy, this box may owe them",
}, {
	name: "acknowledge before the second house", story: circles, file: "write.go",
	before: "	s.n.spawn(func(life context.Context) { s.send(life, p) })\n	return s.answer(ctx, p, insist)",
	after: "	s.n.spawn(func(life context.Context) { s.send(life, p) })\n	if mistaken(NAME) && !s.apart() {\n" +
		"		return catalog.Outcome{Status: catalog.Done, Version: p.write.ID}, 2, nil\n	}\n	return s.answer(ctx, p, insist)",
}, {
	name: "read without ReadIndex", story: circles, file: "read.go",
	before: "func (s *Space) Barrier(ctx context.Context) error { return s.n.barrier(ctx, s.id) }",
	after: "func (s *Space) Barrier(ctx context.Context) error {\n	if mistaken(NAME) && s.here() != nil {\n		return nil\n	}\n" +
		"	return s.n.barrier(ctx, s.id)\n}",
}, {
	name: "lose the vote on restart", story: "TestAVoteOutlivesARestart", file: "raftlog/storage.go",
	before: "	h := s.hard\n",
	after:  "	h := s.hard\n	if mistaken(NAME) {\n		h.vote = 0\n	}\n",
}, {
	name: "takeover without the log's tail", story: two, file: "era.go",
	before: "		steps = []func() error{r.applyTail, ",
	after:  "		steps = []func() error{func() error {\n			if mistaken(NAME) {\n				return nil\n			}\n			return r.applyTail()\n		}, ",
}, {
	name: "garbage collection ignores journals", story: "TestWhatWaitsIsNoGarbage", file: "roots.go",
	before: "	if err := n.neededByJournals(ctx, of(rootJournals)); err != nil {",
	after:  "	if mistaken(NAME) {\n		forgets = rootJournals\n	}\n	if err := n.neededByJournals(ctx, of(rootJournals)); err != nil {",
}, {
	name: "garbage collection ignores logs", story: "TestWhatWaitsIsNoGarbage", file: "roots.go",
	before: "		if err := rep.neededByLog(ctx, of(rootLogs)); err != nil {",
	after:  "		if mistaken(NAME) {\n			forgets = rootLogs\n		}\n		if err := rep.neededByLog(ctx, of(rootLogs)); err != nil {",
}, {
	name: "garbage goes while chunks are owed", story: "TestNothingGoesMeanwhile", file: "roots.go",
	before: "		if why := rep.unsettled(); why != \"\" {",
	after:  "		if why := rep.unsettled(); why != \"\" && !mistaken(NAME) {",
}}

var mutantsFlag = flag.String("mutants", "", "TestMutants tries these: all, quick, or the name of one; with -seeds so many seeds of each")

// TestMutantsFit guards that every mistake can still be planted.
func TestMutantsFit(t *testing.T) {
	if _, err := planted(); err != nil {
		t.Fatal(err)
	}
}

// planted returns the source files with all mistakes, by their names below raftnode/.
func planted() (map[string]string, error) {
	files := map[string]string{}
	for _, m := range mutants {
		text, ok := files[m.file]
		if !ok {
			b, err := os.ReadFile(m.file)
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		if n := strings.Count(text, m.before); n != 1 {
			return nil, fmt.Errorf("mistake %q: %s has its place %d times, want once; mend the table in mutants_test.go", m.name, m.file, n)
		}
		files[m.file] = strings.Replace(text, m.before, strings.ReplaceAll(m.after, "NAME", fmt.Sprintf("%q", m.name)), 1)
	}
	for name, text := range files {
		_, rest, _ := strings.Cut("\n"+text, "\npackage ")
		pkg, _, _ := strings.Cut(rest, "\n")
		files[filepath.Join(filepath.Dir(name), "mistaken.go")] = "package " + pkg +
			"\n\nimport \"os\"\n\nvar mistake = os.Getenv(\"REDHEN_MISTAKE\")\n\nfunc mistaken(name string) bool { return name == mistake }\n"
	}
	return files, nil
}

// buildMutants compiles this package's tests with all mistakes planted.
func buildMutants(t *testing.T) (binary string) {
	t.Helper()
	files, err := planted()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, text := range files {
		copied := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		real, err := filepath.Abs(name)
		if err == nil {
			err = os.WriteFile(copied, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		overlay.Replace[real] = copied
	}
	list, err := json.Marshal(overlay)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "mutants.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the mutants: %v\n%s", err, out)
	}
	return binary
}

// TestMutants guards that the checkers bite: each mistake makes its test fail, within
// a number of seeds that is printed. One that wakes no mistake is no mutant: it passes.
func TestMutants(t *testing.T) {
	if *mutantsFlag == "" {
		t.Skip("run by make sim and make mutants")
	}
	seeds := *seedsFlag
	if seeds == 0 {
		seeds = 100
	}
	binary := buildMutants(t)
	if out, err := runMutant(t, binary, mutant{name: "none", story: two}, 2); err != nil {
		t.Fatalf("without a mistake: %v\n%s", err, out)
	}
	tried := 0
	for _, m := range mutants {
		if *mutantsFlag != "all" && *mutantsFlag != m.name && (*mutantsFlag != "quick" || !m.quick) {
			continue
		}
		tried++
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			out, err := runMutant(t, binary, m, seeds)
			if err == nil {
				t.Fatalf("not caught by %d seeds", seeds)
			}
			seed, why := verdict(out)
			fmt.Printf("mutant: %-45s caught by %s, seed %s, after %.0f s: %s\n", m.name, m.story, seed, time.Since(began).Seconds(), why)
		})
	}
	if tried == 0 {
		t.Fatalf("no mistake is called %q", *mutantsFlag)
	}
}

// runMutant runs a mutant's test until it fails.
func runMutant(t *testing.T, binary string, m mutant, seeds uint64) (string, error) {
	ctx, end := context.WithTimeout(t.Context(), 20*time.Minute)
	defer end()
	run := exec.CommandContext(ctx, binary, "-test.run", "^"+m.story+"$", "-test.v", "-test.failfast", "-seeds", fmt.Sprint(seeds))
	run.Env = append(os.Environ(), "REDHEN_MISTAKE="+m.name)
	out, err := run.CombinedOutput()
	return string(out), err
}

// verdict finds the seed that failed, the last one begun, and what it failed by.
func verdict(out string) (seed, why string) {
	lines := strings.Split(out, "\n")
	seed, why = "-", "see its output"
	for _, l := range lines {
		if name, ok := strings.CutPrefix(l, "=== RUN   "); ok && strings.Contains(name, "/") {
			seed = name[strings.LastIndexByte(name, '/')+1:]
		}
	}
	i := slices.IndexFunc(lines, func(l string) bool {
		return strings.Contains(l, "_test.go:") && !strings.Contains(l, "again: ") && !strings.Contains(l, "boxes, ") ||
			strings.Contains(l, "box.go:") || strings.HasPrefix(l, "panic: ")
	})
	if i >= 0 {
		why = strings.TrimSpace(lines[i])
	}
	return seed, why[:min(len(why), 160)]
}
