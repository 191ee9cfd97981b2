package raftnodetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/catalog"
	"redhen/raftnode/transport"
)

// RunScript runs a text script: blocks of commands, a line "----", and what they
// must print, up to an empty line. The first block may set the circle up:
//
//	circle keep=8 cut=16 latency=20ms
//
// With rewrite, what they print is written into the file instead of compared. It
// must be called in a synctest bubble. The commands are those of Script.commands.
func RunScript(t *testing.T, file string, cfg Config, rewrite bool) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := &script{t: t, cfg: cfg}
	defer s.close()
	for _, block := range parseScript(string(text)) {
		got := s.run(block.commands)
		if got != block.want && !rewrite {
			t.Errorf("%s:%d: %s\ngot:\n%swant:\n%s", file, block.line, block.commands, got, block.want)
			if s.c != nil {
				s.c.Said.Dump(t, 60)
			}
			return // what follows builds on it
		}
		fmt.Fprintf(&out, "%s%s----\n%s\n", block.comment, block.commands, got)
	}
	if rewrite {
		if err := os.WriteFile(file, bytes.TrimSuffix(out.Bytes(), []byte("\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

type scriptBlock struct {
	line                    int
	comment, commands, want string
}

func parseScript(text string) []scriptBlock {
	var blocks []scriptBlock
	b, wanting := scriptBlock{line: 1}, false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case wanting && line == "":
			blocks = append(blocks, b)
			b, wanting = scriptBlock{line: i + 2}, false
		case wanting:
			b.want += line + "\n"
		case line == "----":
			wanting = true
		case strings.HasPrefix(line, "#") || line == "":
			b.comment += line + "\n"
		default:
			b.commands += line + "\n"
		}
	}
	if wanting {
		blocks = append(blocks, b)
	}
	return blocks
}

// script is one run.
type script struct {
	t     *testing.T
	cfg   Config
	c     *Circle
	out   strings.Builder
	loads map[string]*load
}

// load is writes that go on beside the script.
type load struct {
	stop  chan struct{}
	done  chan written
	count int // of files; zero: until it is stopped
}

// written is what became of a load.
type written struct {
	files, far int // written, and of them kept in two houses or more
	failed     []string
}

func (s *script) close() {
	if s.c != nil {
		s.c.Close()
	}
}

// patience is how long a command may take, in simulated time.
const patience = 5 * time.Minute

func (s *script) run(commands string) string {
	s.out.Reset()
	for _, line := range strings.Split(strings.TrimSpace(commands), "\n") {
		ctx, cancel := context.WithTimeout(s.t.Context(), patience)
		switch err := s.do(ctx, words(line)); {
		case errors.Is(err, raftnode.ErrApart):
			s.say("%v", raftnode.ErrApart) // the rest may differ from run to run
		case err != nil:
			s.say("error: %v", err)
		}
		cancel()
	}
	return s.out.String()
}

func (s *script) say(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

// line is one command: its words, and those of the form key=value.
type line struct {
	words []string
	opts  map[string]string
}

func words(text string) line {
	l := line{opts: map[string]string{}}
	for _, w := range strings.Fields(text) {
		if k, v, ok := strings.Cut(w, "="); ok {
			l.opts[k] = v
		} else {
			l.words = append(l.words, w)
		}
	}
	return l
}

// arg returns the i-th word after the command, "" when there is none.
func (l line) arg(i int) string {
	if i+1 < len(l.words) {
		return l.words[i+1]
	}
	return ""
}

func (l line) num(key string) int {
	n, _ := strconv.Atoi(l.opts[key])
	return n
}

func (s *script) do(ctx context.Context, l line) error {
	if s.c == nil {
		if err := s.begin(l); err != nil || l.words[0] == "circle" {
			return err
		}
	}
	command := s.commands()[l.words[0]]
	if command == nil {
		return fmt.Errorf("unknown command %q", l.words[0])
	}
	return command(ctx, l)
}

func (s *script) begin(l line) error {
	if l.words[0] == "circle" {
		s.cfg.KeepEntries, s.cfg.CutEntries = uint64(l.num("keep")), uint64(l.num("cut"))
		if d, err := time.ParseDuration(l.opts["promote"]); err == nil {
			s.cfg.PromoteAfter = d
		}
	}
	s.c, s.loads = New(s.t, s.cfg), map[string]*load{}
	latency, _ := time.ParseDuration(l.opts["latency"])
	s.c.Mesh.SetLinks(transport.Link{Latency: latency, Jitter: latency / 4})
	return nil
}

func (s *script) commands() map[string]func(context.Context, line) error {
	return map[string]func(context.Context, line) error{
		"add-box":   s.addBox,    // BOX [house=HOUSE]
		"space":     s.space,     // NAME [at=BOX] [copies=N]
		"put":       s.put,       // BOX SPACE PATH TEXT [size=BYTES] [insist=HOUSES]
		"get":       s.get,       // BOX SPACE PATH
		"mkdir":     s.mkdir,     // BOX SPACE PATH
		"move":      s.move,      // BOX SPACE PATH PATH
		"remove":    s.remove,    // BOX SPACE PATH
		"list":      s.list,      // BOX SPACE [PATH]
		"removed":   s.removed,   // BOX SPACE
		"partition": s.partition, // BOX… the others
		"cut":       s.cut,       // FROM TO: one direction
		"heal":      s.heal,
		"crash":     s.crash,    // BOX… or "all"
		"restart":   s.restart,  // BOX… or "all"
		"stop":      s.stop,     // BOX…
		"burn":      s.burn,     // BOX
		"gone":      s.gone,     // BOX [replacement=BOX]
		"takeover":  s.takeover, // BOX: it goes on without those that are down
		"home":      s.home,     // BOX: it comes back to those that went on without it
		"give-way":  s.giveWay,  // BOX: it leaves its branch for that of those who went on without it
		"replace":   s.replace,  // OLD NEW house=HOUSE: add-box and gone
		"compact":   s.compact,  // BOX SPACE: waits until the log there is cut
		"snapshot":  s.snapshot,
		"load":      s.load,    // NAME BOX SPACE every=DURATION [count=FILES]: files put until load-end, or so many
		"load-end":  s.loadEnd, // NAME [anywhere]
		"wait":      s.wait,    // see waits
		"status":    s.status,  // BOX
	}
}

func (s *script) addBox(ctx context.Context, l line) error {
	house := l.opts["house"]
	if house == "" {
		house = l.arg(0) + " house"
	}
	_, err := s.c.Add(ctx, l.arg(0), house)
	return err
}

func (s *script) space(ctx context.Context, l line) error {
	at := s.c.anyUp()
	if l.opts["at"] != "" {
		at = s.c.Box(l.opts["at"])
	}
	_, err := at.NewSpaceOf(ctx, l.arg(0), l.num("copies"))
	return err
}

// where returns the box and the space that a command is about.
func (s *script) where(l line) (*Box, ident.ShardID) {
	b := s.c.Box(l.arg(0))
	if b.Node == nil {
		s.t.Fatalf("%v: box %s is down", l.words, b.Name)
	}
	if l.arg(1) == "circle" {
		return b, ident.CircleShard
	}
	return b, SpaceID(l.arg(1))
}

// answer prints what became of a write.
func (s *script) answer(out catalog.Outcome, kept int, err error) error {
	switch {
	case errors.Is(err, raftnode.ErrNeedsHouse):
		s.say("needs one more house")
	case err != nil:
		return err
	case out.Status != catalog.Done:
		s.say("%v %s, kept in %s", out.Status, out.Name, houses(kept))
	default:
		s.say("kept in %s", houses(kept))
	}
	return nil
}

func houses(n int) string {
	if n == 1 {
		return "1 house"
	}
	return fmt.Sprintf("%d houses", n)
}

func (s *script) put(ctx context.Context, l line) error {
	b, space := s.where(l)
	data := []byte(strings.Join(l.words[min(4, len(l.words)):], " "))
	if size := l.num("size"); size > 0 {
		data = Pattern(size)
	}
	op, err := b.PutOp(ctx, space, l.arg(2), data)
	if err != nil {
		return err
	}
	return s.answer(b.Node.Space(space).Write(ctx, b.Account, op, l.num("insist")))
}

// Pattern returns n bytes that are the same at every call.
func Pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>10)
	}
	return b
}

func (s *script) get(ctx context.Context, l line) error {
	b, space := s.where(l)
	data, err := b.Get(ctx, space, l.arg(2))
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		s.say("not found")
	case err != nil:
		return err
	case len(data) > 100:
		s.say("%d bytes, hash %.4x", len(data), sha256.Sum256(data))
	default:
		s.say("%s", data)
	}
	return nil
}

func (s *script) mkdir(ctx context.Context, l line) error {
	b, space := s.where(l)
	return s.answer(b.Mkdir(ctx, space, l.arg(2)))
}

func (s *script) move(ctx context.Context, l line) error {
	b, space := s.where(l)
	return s.answer(b.Move(ctx, space, l.arg(2), l.arg(3)))
}

func (s *script) remove(ctx context.Context, l line) error {
	b, space := s.where(l)
	return s.answer(b.Remove(ctx, space, l.arg(2)))
}

func (s *script) list(ctx context.Context, l line) error {
	b, space := s.where(l)
	entries, err := b.Node.Space(space).List(ctx, l.arg(2), "", 1000)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		name := e.Name
		if e.IsDir {
			name += "/"
		}
		names = append(names, name)
	}
	s.say("%s", strings.Join(names, ", "))
	return nil
}

func (s *script) removed(ctx context.Context, l line) error {
	b, space := s.where(l)
	rows, err := b.Node.Space(space).Removed(ctx, "", 1000)
	for _, r := range rows {
		s.say("%s", r.Path)
	}
	return err
}
