package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
)

func (a *app) diskCommand() *cobra.Command {
	var typed string
	cmd := &cobra.Command{
		Use: "disk [DEVICE]", Short: "The disks that this box could keep its data on; move it to one", Args: cobra.MaximumNArgs(1),
		Long: "Show the disks in this box that last longer than its card, or have the box move what it keeps to one.\nEverything on that disk is erased, once its name was typed. The box restarts, moves, and comes back by itself.",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.box().DataDisks(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.show(list, func(w io.Writer) { tellDisks(w, list) })
			}
			if typed == "" {
				typed = a.typedName(args[0], list)
			}
			d, err := a.box().ChooseDisk(cmd.Context(), api.DataDiskOrder{Device: args[0], Typed: typed})
			if err != nil {
				return err
			}
			return a.done("%s is ready. The box restarts now, moves what it keeps there, and comes back by itself. Leave its power on.", d.Words)
		},
	}
	cmd.Flags().StringVar(&typed, "erase", "", "name of the disk, as redhen disk shows it: do not ask for it")
	return cmd
}

func tellDisks(w io.Writer, list []api.DataDisk) {
	for _, d := range list {
		fmt.Fprintf(w, "%s: %s; its name is “%s”\n", d.Device, d.Words, d.Name)
	}
	if len(list) == 0 {
		fmt.Fprintln(w, "There is none. Plug an SSD or another real disk into the box; one that is in use does not count.")
	}
}

// typedName asks for the name of a disk that is to be erased. The box refuses what is none.
func (a *app) typedName(device string, list []api.DataDisk) string {
	for _, d := range list {
		if d.Device == device {
			fmt.Fprintf(a.err, "Everything on %s (%s) will be erased. Type its name, “%s”, to have that: ", d.Device, d.Words, d.Name)
			line, _ := a.password("Name of the disk") // no line is no name
			return line
		}
	}
	return ""
}
