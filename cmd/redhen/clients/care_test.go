package clients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/status"
)

// redhen runs the command at a box, and returns what a person reads.
func (c *circle) redhen(i int, stdin string, args ...string) (string, error) {
	ctx, end := context.WithTimeout(c.ctx, 2*patience)
	defer end()
	cmd := exec.CommandContext(ctx, os.Getenv(program), append([]string{"--state", c.boxes[i].Dir}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestScrubCommand: what has rotted on the disk, and what somebody removed there, is
// found by redhen scrub, although nobody read it, and comes from another house.
func TestScrubCommand(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 3)
	film := c.put(0, "film.mkv", 1, 3<<20)
	c.awaitSafe(1)
	chunks, err := filepath.Glob(filepath.Join(c.boxes[1].Dir, "chunks", "??", strings.Repeat("?", 64)))
	if err != nil || len(chunks) != 3 {
		t.Fatalf("chunks %v, %v", chunks, err)
	}
	flip(t, chunks[0], 12345)
	if err := os.Remove(chunks[2]); err != nil {
		t.Fatal(err)
	}
	out, err := c.redhen(1, "", "scrub")
	if err != nil || !strings.Contains(out, "1 piece had gone bad, and came again from another house. Nothing is lost.") {
		t.Errorf("%v\n%s", err, out)
	}
	c.awaitSafe(1)
	if out, err = c.redhen(1, "", "scrub"); err != nil || !strings.Contains(out, "All is good.") {
		t.Errorf("again: %v\n%s", err, out)
	}
	c.want(1, "film.mkv", film.sum)
	c.wait("the diary tells it", func(context.Context) error {
		out, err := c.redhen(2, "", "diary")
		if err == nil && !strings.Contains(out, "Finch read everything again that it keeps") {
			err = errNot(out)
		}
		return err
	})
}

type errNot string

func (e errNot) Error() string { return "not in " + string(e) }

// TestDrillCommand: a house plays dead, by the word of a keeper of another one, and
// people carry on. Then the box that orders it is killed: the house comes back all the same.
func TestDrillCommand(t *testing.T) {
	t.Parallel()
	long(t)
	c := newCircle(t, 3)
	out, err := c.redhen(0, password+"\n", "drill", "Oak Street", "--keeper", "anna")
	if err != nil || !strings.Contains(out, "Oak Street played dead for a minute, and people carried on at hen and wren: log in, read and write. It is back by itself. Nothing is lost.") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(out)
	for i := range 3 {
		if out, err := c.redhen(i, "", "drill", "--last"); err != nil || !strings.Contains(out, "begun by anna") {
			t.Errorf("%s knows of no drill: %v\n%s", boxNames()[i], err, out)
		}
	}
	if said := c.says(2); !strings.Contains(said, "Last fire drill: Oak Street") {
		t.Errorf("status does not tell it:\n%s", said)
	}
	c.awaitSafe(2)
	begun := time.Now()
	_, err = c.boxes[2].Drill(c.ctx, api.DrillOrder{House: houseNames()[0], Keeper: "cleo", Password: password}, func(s api.DrillStep) {
		if s.Stage == "silent" {
			c.boxes[2].Kill()
		}
	})
	if err == nil {
		t.Fatal("the drill went on without the box that ordered it")
	}
	c.await(1, "Mill Lane is back", func(r status.Report) bool {
		for _, h := range r.Houses {
			if h.Name == houseNames()[0] {
				return h.Reached.How != status.Away
			}
		}
		return false
	})
	if took := time.Since(begun); took < 45*time.Second {
		t.Errorf("back after %v", took)
	}
	c.start(2)
	c.awaitSafe(1)
}
