package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"redhen/appliance/api"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"redhen": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "until": until, "awaitbox": awaitBox, "upload": upload, "ticket": ticket, "awaitwaiting": awaitWaiting, "awaitcircle": awaitCircle,
		},
	})
}

// exits N PROGRAM ARGS…: the program ends with that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if neg || got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// until PATTERN PROGRAM ARGS…: the program says so in the end, on either output. What one
// box has done another one hears of a little later.
func until(ts *testscript.TestScript, _ bool, args []string) {
	wanted, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	retry(ts, args[0], func(context.Context) error {
		err := ts.Exec(args[1], args[2:]...)
		if wanted.MatchString(ts.ReadFile("stdout")) || wanted.MatchString(ts.ReadFile("stderr")) {
			return nil
		}
		return errors.Join(errors.New("it says something else"), err)
	})
}

// awaitBox DIR: a box answers on the state directory.
func awaitBox(ts *testscript.TestScript, _ bool, args []string) {
	retry(ts, "box on "+args[0], func(ctx context.Context) error {
		_, err := api.NewClient(ts.MkAbs(args[0])).Box(ctx)
		return err
	})
}

// awaitCircle DIR: the box is in a circle, and knows it.
func awaitCircle(ts *testscript.TestScript, _ bool, args []string) {
	retry(ts, args[0]+" in a circle", func(ctx context.Context) error {
		b, err := api.NewClient(ts.MkAbs(args[0])).Box(ctx)
		if err == nil && !b.Claimed {
			err = errors.New("not yet")
		}
		return err
	})
}

// awaitWaiting DIR BOX: a box of that name waits to be let in.
func awaitWaiting(ts *testscript.TestScript, _ bool, args []string) {
	retry(ts, args[1]+" at the door", func(ctx context.Context) error {
		inv, err := api.NewClient(ts.MkAbs(args[0])).Invites(ctx)
		for _, w := range inv.Waiting {
			if w.Box == args[1] {
				return nil
			}
		}
		return errors.Join(errors.New("does not wait"), err)
	})
}

func retry(ts *testscript.TestScript, what string, try func(context.Context) error) {
	ctx, end := context.WithTimeout(context.Background(), 2*time.Minute)
	defer end()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			ts.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond) // a real process
	}
}

// upload DIR LOGIN PASSWORD PATH TEXT: puts a line as a file through the box's WebDAV door;
// without TEXT makes a folder.
func upload(ts *testscript.TestScript, _ bool, args []string) {
	box, err := api.NewClient(ts.MkAbs(args[0])).Box(context.Background())
	ts.Check(err)
	method, body := "MKCOL", ""
	if len(args) > 4 {
		method, body = http.MethodPut, args[4]+"\n"
	}
	req, err := http.NewRequest(method, "http://"+box.Pages+"/dav/"+args[1]+args[3], strings.NewReader(body))
	ts.Check(err)
	req.SetBasicAuth(args[1], args[2])
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || resp.Header.Get("Redhen-Kept") == "" {
		ts.Fatalf("%s %s: %s, Redhen-Kept %q", method, args[3], resp.Status, resp.Header.Get("Redhen-Kept"))
	}
}

// ticket DIR NAME [waived]: makes a ticket and puts it into the variables NAME and NAME_ID.
func ticket(ts *testscript.TestScript, _ bool, args []string) {
	t, err := api.NewClient(ts.MkAbs(args[0])).InviteBox(context.Background(), api.BoxInvite{Waived: len(args) > 2})
	ts.Check(err)
	ts.Setenv(args[1], t.Text)
	ts.Setenv(args[1]+"_ID", t.ID)
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{&api.Error{Code: "x", Sentence: "It did not work."}, 1},
		{fmt.Errorf("wrapped: %w", &usageError{errors.New("x")}), 2},
		{context.Canceled, 1},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("exit code of %v: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestPasswordsAreLinesOfTheInput(t *testing.T) {
	a := &app{stdin: strings.NewReader("first one\r\nsecond one\n")}
	for _, want := range []string{"first one", "second one"} {
		if got, err := a.password("x"); got != want || err != nil {
			t.Errorf("password: %q, %v; want %q", got, err, want)
		}
	}
	if _, err := a.password("x"); exitCode(err) != 2 {
		t.Errorf("password without a line: %v, want wrong usage", err)
	}
	a = &app{stdin: strings.NewReader(strings.Repeat("x", maxPassword+1))}
	if _, err := a.password("x"); exitCode(err) != 2 {
		t.Errorf("endless password: %v, want wrong usage", err)
	}
}

func TestPageLinkWorksOnThisMachine(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080/",
		"[::]:80":        "http://localhost/",
		"0.0.0.0:8080":   "http://localhost:8080/",
		"[::1]:80":       "http://[::1]/",
	} {
		if got := pageLink(addr); got != want {
			t.Errorf("pageLink(%q) = %q, want %q", addr, got, want)
		}
	}
}
