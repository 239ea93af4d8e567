"""Where functions run: worker processes that are warm, die with their parent and can be killed."""
