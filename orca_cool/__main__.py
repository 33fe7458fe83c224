from orca_cool.cli import main

main(prog_name="orca-cool")
